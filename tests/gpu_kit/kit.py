#!/usr/bin/env python3
"""Onejump on a machine with a GPU: parity, speed and memory beside transformers, decoding, training. Called by run.sh:

    kit.py OUT [--cpu] [--seconds 540] [--sizes smollm2,gpt2-xl,llama2-7b] [--steps parity,sessions,speed,decode,train,both]

`cargo xtask gpu-kit` makes the folder that this lies in: bin/ (stripped binaries) and cases/ (small checkpoints with
states from transformers in f32). Checkpoints of the real sizes are made here, with random weights. Each step is on its
own: results are printed and kept as they come, a step that fails is said and the next one begins, and what there is no
time for is listed as such. --cpu tries every step on the CPU, with small sizes and the GPU's way of batching. The status
is 0 if every check held.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

STARTED = time.time()
HERE = Path(__file__).resolve().parent
SIZES = ("smollm2", "gpt2-xl", "llama2-7b")
STEPS = ("parity", "sessions", "speed", "decode", "train", "both")
# Largest relative error of a state of a small case in f32, against transformers on a CPU.
F32_TOLERANCE = 1e-4
# The same between the CPU and the GPU at full size: sums of up to 11,008 values in another order, through 48 blocks.
SIZE_TOLERANCE = 1e-3
# bf16 and f16 round differently in every implementation: ours may be this much further from f32 than transformers' own.
HALF_FACTOR = 1.5
# Relative difference of a training's loss on the device from the CPU's.
LOSS_TOLERANCE = 0.02

parse = argparse.ArgumentParser()
parse.add_argument("out", type=Path)
parse.add_argument("--cpu", action="store_true")
parse.add_argument("--seconds", type=float, default=540)
parse.add_argument("--sizes", default=",".join(SIZES))
parse.add_argument("--steps", default=",".join(STEPS))
options = parse.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

os.environ["TQDM_DISABLE"] = "1"

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import load_file

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
DEVICE = "cpu" if options.cpu else "cuda"
LIBRARIES = Path(torch.__file__).resolve().parent / "lib"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"} | {"LD_LIBRARY_PATH": str(LIBRARIES)}
# On the CPU the GPU's way of batching has to be asked for.
PLACE = ["--device", "cpu", "--batch-parts", "2"] if options.cpu else ["--device", "cuda"]
RESULTS = {"rows": [], "failed": []}


def left():
    return options.seconds - (time.time() - STARTED)


def note(step, what, value, holds=None):
    """A line of the table; `holds` says whether a check held, and is none where nothing was checked."""
    RESULTS["rows"].append(dict(step=step, what=what, value=value, holds=holds))
    if holds is False:
        RESULTS["failed"].append(f"{step}: {what}")
    (options.out / "kit.json").write_text(json.dumps(RESULTS, indent=1))
    mark = {None: "     ", True: "ok   ", False: "FAIL "}[holds]
    print(f"[{time.time() - STARTED:4.0f} s] {mark} {step}: {what}: {value}", flush=True)


def attempt(step, needs, function, *arguments):
    """Runs a step if it is wanted and there is time for it; what goes wrong in it is a failed check."""
    if function.__name__ in STEPS and function.__name__ not in options.steps.split(","):
        return None
    if left() < needs and not options.cpu:
        return note(step, "not tried", f"{left():.0f} s are left, it needs {needs}", False)
    try:
        return function(*arguments)
    except Exception as error:  # whatever it is: the next step is still worth trying
        note(step, "ended early", f"{type(error).__name__}: {error}"[:400], False)


class Run:
    """A binary that has run: what it said, how long it took, and what memory it and the GPU had at most."""

    def __init__(self, program, *arguments, timeout=None):
        command = [str(part) for part in (HERE / "bin" / program, *arguments)]
        before, self.gpu = gpu_memory(), 0
        begun = time.time()
        # An example does not start anew with CUDA's library, as our programs do.
        library = {"LD_PRELOAD": str(LIBRARIES / "libtorch_cuda.so")} if program == "session" and not options.cpu else {}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT | library)
        watch = threading.Timer(timeout or max(left(), 60), process.kill)
        watch.start()
        done = threading.Event()
        poll = threading.Thread(target=self.watch_gpu, args=(done, before))
        poll.start()
        self.said = process.stdout.read().strip()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = self.status = os.waitstatus_to_exitcode(status)
        self.seconds, self.host = time.time() - begun, usage.ru_maxrss / 2**20
        watch.cancel()
        done.set()
        poll.join()

    def watch_gpu(self, done, before):
        while not options.cpu and not done.wait(0.25):
            self.gpu = max(self.gpu, gpu_memory() - before)

    def check(self):
        if self.status:
            raise RuntimeError(f"status {self.status}: {self.said[-300:]}")
        return self


def gpu_memory():
    """GiB in use on the first GPU."""
    if options.cpu:
        return 0
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return float(subprocess.run(query, capture_output=True, text=True).stdout.strip() or 0) / 1024


def capture(model, samples, out, *more, place=PLACE):
    shutil.rmtree(out, ignore_errors=True)
    return Run("onejump-capture", "--model", model, "--samples", samples, "--out", out, *place, *more)


def states(out):
    """(K + 1, N, H)."""
    raw = Path(f"{out}.raw")
    shape = [int(number) for number in Run("raw", out, raw).check().said.split()]
    values = np.fromfile(raw, dtype="<f4").reshape(shape)
    raw.unlink()
    return values


def relative(ours, expected):
    """The relative error of each state, (K + 1, N)."""
    return np.linalg.norm(ours - expected, axis=2) / np.maximum(np.linalg.norm(expected, axis=2), 1e-30)


# What is at hand.


def environment():
    RESULTS["environment"] = dict(torch=torch.__version__, transformers=transformers.__version__, python=sys.version.split()[0],
                                  processors=os.cpu_count(), gpu=None if options.cpu else torch.cuda.get_device_name())
    note("environment", "at hand", RESULTS["environment"])
    case = next(iter(cases()))
    said = capture(case, case / "samples.jsonl", options.out / "hooks", place=["--device", "auto"]).check().said
    shutil.rmtree(options.out / "hooks")
    line = next((line for line in said.splitlines() if line.startswith("device: ")), "nothing")
    if not (LIBRARIES / "libtorch_cuda.so").exists():
        note("environment", "the binaries say that this torch has no CUDA", line, "has no CUDA" in line and options.cpu)
    elif torch.cuda.is_available():
        note("environment", "the binaries see the GPU", line, bool(re.match(r"device: GPU 0 of \d", line)))
    else:
        loaded = "libtorch has CUDA, but there is no GPU" in line
        note("environment", "the binaries say that CUDA's functions are loaded", line, loaded)


# 1. The small cases.


def cases():
    return sorted(path for path in (HERE / "cases").iterdir() if (path / "golden.safetensors").is_file())


def golden(case):
    return load_file(case / "golden.safetensors")["hidden"].transpose(1, 0, 2)


def our_states(case, dtype, scratch):
    out = scratch / f"{case.name}-{dtype}"
    capture(case, case / "samples.jsonl", out, "--dtype", dtype).check()
    return states(out)


def their_states(case, dtype):
    """transformers in the same type on the same device, sample by sample: (K + 1, N, H)."""
    model = transformers.AutoModelForCausalLM.from_pretrained(case, dtype=dtype).to(DEVICE).eval()
    base = model.base_model
    blocks = base.h if hasattr(base, "h") else base.layers
    norm = next(getattr(base, name) for name in ("ln_f", "final_layer_norm", "norm") if hasattr(base, name))
    seen = []
    see = lambda module, args, kwargs: seen.append(args[0] if args else kwargs["hidden_states"])
    for module in (*blocks, norm):
        module.register_forward_pre_hook(see, with_kwargs=True)
    rows = []
    for line in (case / "samples.jsonl").read_text().splitlines():
        sample = json.loads(line)
        seen.clear()
        with torch.inference_mode():
            base(torch.tensor([sample["input_ids"][: sample["position"] + 1]], device=DEVICE), use_cache=False)
        rows.append(torch.stack([state[0, -1] for state in seen]).float().cpu().numpy())
    return np.stack(rows, 1)


def parity(scratch):
    chosen = cases()[::6] if options.cpu else cases()
    jobs = [(case, dtype) for dtype in ("f32", "bf16", "f16") for case in chosen]
    with ThreadPoolExecutor(max(1, min(8, (os.cpu_count() or 2) // 2))) as pool:
        ours = {job: pool.submit(our_states, *job, scratch) for job in jobs}
        worst = []
        for case in chosen:
            try:
                worst.append((relative(ours[case, "f32"].result(), golden(case)).max(), case.name))
            except Exception as error:
                note("parity f32", case.name, f"{error}"[:300], False)
        if worst:
            value = f"{len(worst)} cases, worst {max(worst)[0]:.1e} ({max(worst)[1]}), at most {F32_TOLERANCE:.0e}"
            note("parity f32", "relative error against transformers on a CPU", value, all(error <= F32_TOLERANCE for error, _ in worst))
        for dtype, kind in (("bf16", torch.bfloat16), ("f16", torch.float16)):
            ratios, skipped = [], []
            for case in chosen:
                try:
                    theirs = relative(their_states(case, kind), golden(case)).mean()
                except Exception as error:  # transformers cannot: nothing to compare with
                    skipped.append(f"{case.name} ({type(error).__name__})")
                    continue
                try:
                    mine = relative(ours[case, dtype].result(), golden(case)).mean()
                    ratios.append((mine / theirs, case.name, mine))
                except Exception as error:
                    note(f"parity {dtype}", case.name, f"{error}"[:300], False)
            if skipped:
                note(f"parity {dtype}", "transformers has no states of", ", ".join(skipped))
            if ratios:
                ratio, name, mine = max(ratios)
                value = f"{len(ratios)} cases, at worst {ratio:.2f} times transformers' ({name}, {mine:.1e}), at most {HALF_FACTOR}"
                note(f"parity {dtype}", f"mean relative error against f32, beside transformers in {dtype}", value, all(ratio <= HALF_FACTOR for ratio, _, _ in ratios))


def sessions(scratch):
    """Decoding beside that on the CPU, which the tests compare with transformers."""
    where = "tensors" if options.cpu else "cuda"
    with ThreadPoolExecutor(max(1, min(8, (os.cpu_count() or 2) // 2))) as pool:
        ran = {case.name: pool.submit(Run, "session", case, where, "f32", "check") for case in cases()}
    errors = []
    for name, future in ran.items():
        try:
            errors.append((float(re.search(r"relative error (\S+) against", future.result().check().said)[1]), name))
        except Exception as error:
            note("sessions f32", name, f"{error}"[:300], False)
    if errors:
        value = f"{len(errors)} cases, worst {max(errors)[0]:.1e} ({max(errors)[1]}), at most {F32_TOLERANCE:.0e}"
        note("sessions f32", "relative error against sessions on the CPU", value, all(error <= F32_TOLERANCE for error, _ in errors))


# 2. to 4. The sizes.


def config(size):
    auto = transformers.AutoConfig.for_model
    if options.cpu:
        small = dict(vocab_size=512, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
                     num_key_value_heads=2, max_position_embeddings=512, bos_token_id=0, eos_token_id=0)
        return auto("gpt2", n_embd=64, n_layer=3, n_head=4, vocab_size=512, bos_token_id=0, eos_token_id=0) if size == "gpt2-xl" else auto("llama", **small)
    if size == "smollm2":
        return auto("llama", vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                    num_key_value_heads=3, max_position_embeddings=2048, tie_word_embeddings=True)
    if size == "gpt2-xl":
        return auto("gpt2", n_embd=1600, n_layer=48, n_head=25)
    return auto("llama", vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32,
                num_key_value_heads=32, max_position_embeddings=4096, tie_word_embeddings=False)


def checkpoint(size, folder):
    before = time.time()
    torch.manual_seed(0)
    with torch.device(DEVICE):
        model = transformers.AutoModelForCausalLM.from_config(config(size), dtype=torch.bfloat16).eval()
    model.save_pretrained(folder, max_shard_size="5GB")
    count = sum(parameter.numel() for parameter in model.parameters())
    note(f"size {size}", "checkpoint with random weights", f"{count / 1e9:.2f} G parameters in {time.time() - before:.0f} s")
    return model


def write_samples(path, count, lengths, vocabulary):
    generator = random.Random(0)
    sequences = [[generator.randrange(vocabulary) for _ in range(generator.randint(*lengths))] for _ in range(count)]
    path.write_text("".join(json.dumps({"input_ids": ids, "position": len(ids) - 1}) + "\n" for ids in sequences))
    return sequences


def synchronize():
    if not options.cpu:
        torch.cuda.synchronize()


def peer(model, sequences, batch_tokens=8192):
    """transformers at its best: sorted by length, padded batches, hooks that keep the last token's states. Seconds."""
    base, last = model.base_model, None
    blocks = base.h if hasattr(base, "h") else base.layers
    kept = []
    pick = lambda states: kept.append(states[torch.arange(len(last), device=DEVICE), last])
    hooks = [blocks[0].register_forward_pre_hook(lambda module, args, kwargs: pick(args[0] if args else kwargs["hidden_states"]), with_kwargs=True)]
    hooks += [block.register_forward_hook(lambda module, args, output: pick(output[0] if isinstance(output, tuple) else output)) for block in blocks]
    order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
    synchronize()
    before, place = time.time(), 0
    with torch.inference_mode():
        while place < len(order):
            batch = [order[place]]
            while place + len(batch) < len(order) and len(sequences[order[place + len(batch)]]) * (len(batch) + 1) <= batch_tokens:
                batch.append(order[place + len(batch)])
            rows = [sequences[index] for index in batch]
            width = max(map(len, rows))
            ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=DEVICE)
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=DEVICE)
            last = torch.tensor([len(row) - 1 for row in rows], device=DEVICE)
            kept.clear()
            base(input_ids=ids, attention_mask=mask, use_cache=False)
            torch.stack(kept).cpu()
            place += len(batch)
    seconds = time.time() - before
    for hook in hooks:
        hook.remove()
    return seconds


def card_rate():
    """FLOP/s of a product in bf16."""
    size = 512 if options.cpu else 8192
    a, b = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    a @ b
    synchronize()
    before, count = time.time(), 20
    for _ in range(count):
        a @ b
    synchronize()
    rate = count * 2 * size**3 / (time.time() - before)
    note("card", f"{size}³ product in bf16", f"{rate / 1e12:.1f} TFLOP/s")
    small, count = torch.zeros(16, device=DEVICE), 5000
    before = time.time()
    for _ in range(count):
        small.add_(1)
    launched = time.time() - before
    synchronize()
    value = f"{launched / count * 1e6:.1f} µs to ask for it, {(time.time() - before) / count * 1e6:.1f} µs until it is done"
    note("card", "a small operation", value)
    return rate


def speed(size, model, folder, scratch, rate):
    counts = {"smollm2": (20_000, 2000), "gpt2-xl": (8000, 800), "llama2-7b": (4000, 800)}[size]
    counts = (60, 12) if options.cpu else counts
    # Products per token: all weights of the blocks once. Embeddings and head take no part.
    weights = sum(p.numel() for name, p in model.named_parameters() if ".h." in name or ".layers." in name)
    for what, count, lengths in (("sentences", counts[0], (2, 30)), ("long texts", counts[1], (128, 512))):
        samples = scratch / "samples.jsonl"
        sequences = write_samples(samples, count, lengths, model.config.vocab_size)
        tokens = sum(map(len, sequences))
        ran = capture(folder, samples, scratch / "speed", "--dtype", "bf16").check()
        written = sum(path.stat().st_size for path in (scratch / "speed").glob("*.parquet"))
        whole = float(re.search(r"tokens in ([\d.]+) s", ran.said)[1])
        computing, first_tokens, first = map(float, re.search(r"the model alone ([\d.]+) s, the first (\d+) tokens ([\d.]+) s", ran.said).groups())
        shutil.rmtree(scratch / "speed")
        peer(model, sequences[:100])
        theirs = peer(model, sequences)
        # transformers has computed a batch before; so have we, once the first is there. A capture of one batch has no rest.
        alone = (tokens - first_tokens) / max(computing - first, 1e-3)
        row = dict(tokens=tokens, tokens_per_s=round(tokens / max(whole, 1e-3)), tokens_per_s_model_alone=round(alone), first_batch_s=first,
                   share_of_card=round(2 * weights * alone / rate, 3), transformers_tokens_per_s=round(tokens / theirs),
                   times_transformers=round(alone * theirs / tokens, 2), written_gb_per_s=round(written / 1e9 / max(whole, 1e-3), 3),
                   gpu_gib=round(ran.gpu, 1), host_gib=round(ran.host, 1))
        # Where a model is large and its texts are long, arithmetic is the limit: a card at less than half is badly used.
        large = size == "llama2-7b" and what == "long texts" and not options.cpu
        note(f"speed {size}", what, row, row["share_of_card"] >= 0.5 if large else None)


def decode(size, model, folder):
    """A text of the most likely tokens in bf16, beside transformers' generate: 64 behind 64, without the prompt."""
    said = Run("session", folder, "tensors" if options.cpu else "cuda", "bf16").check().said
    prompt, ours, bandwidth = (float(re.search(rf"{what} ([\d.]+) {unit}", said)[1])
                               for what, unit in (("prompt:", "tokens/s"), ("a text:", "tokens/s"), ("tokens/s,", "GB/s")))
    rows = {int(rows): float(cost) for rows, cost in re.findall(r"v\((\d)\) = ([\d.]+)", said)}
    ids, count = torch.arange(64, device=DEVICE)[None] % model.config.vocab_size, 4 if options.cpu else 64

    def seconds(added):
        synchronize()
        before = time.time()
        with torch.inference_mode():
            model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=added, min_new_tokens=added, do_sample=False, pad_token_id=0)
        synchronize()
        return time.time() - before

    seconds(2)
    theirs = count / (seconds(count + 1) - seconds(1))
    row = dict(tokens_per_s=ours, gb_per_s=bandwidth, rows=rows, prompt_tokens_per_s=prompt,
               transformers_tokens_per_s=round(theirs, 1), times_transformers=round(ours / theirs, 2))
    note(f"decode {size}", "a text in bf16, and what rows cost", row)


def both(size, folder, scratch, vocabulary):
    samples = scratch / "both.jsonl"
    write_samples(samples, 36, (2, 30), vocabulary)
    there = capture(folder, samples, scratch / "there").check()
    here = capture(folder, samples, scratch / "here", place=["--device", "cpu"]).check()
    error = relative(states(scratch / "there"), states(scratch / "here")).max()
    value = f"{error:.1e}, at most {SIZE_TOLERANCE:.0e}; {there.seconds:.0f} s and {here.seconds:.0f} s with loading"
    note(f"CPU and device {size}", "36 sentences in f32, worst relative difference", value, bool(error <= SIZE_TOLERANCE))


def train(folder, scratch, vocabulary):
    samples, hidden = scratch / "train.jsonl", scratch / "train"
    write_samples(samples, 60 if options.cpu else 4000, (2, 30), vocabulary)
    capture(folder, samples, hidden).check()
    losses, seconds = {}, {}
    for device in ("cpu", DEVICE):
        more = ["--rank", "4", "--epochs", "1"] if options.cpu else []
        out = scratch / f"one-jump-{device}.safetensors"
        ran = Run("onejump-train", "--hidden", hidden, "--kind", "one-jump", "--model", folder, "--device", device, "--out", out, *more).check()
        with safe_open(out, "np") as file:
            losses[device] = float(json.loads(file.metadata()["training_loss"])[0])
        seconds[device] = round(ran.seconds, 1)
    difference = abs(losses[DEVICE] - losses["cpu"]) / max(losses["cpu"], 1e-9)
    note("train", "one-jump: loss and seconds", dict(loss=losses, seconds=seconds), difference <= LOSS_TOLERANCE)


def size_by_size(scratch):
    rate = attempt("card", 10, card_rate)
    folders = {}
    for size in options.sizes.split(","):
        folder = scratch / size
        model = attempt(f"size {size}", {"smollm2": 20, "gpt2-xl": 60, "llama2-7b": 120}[size], checkpoint, size, folder)
        if model is None:
            continue
        folders[size] = model.config.vocab_size
        attempt(f"speed {size}", 30, speed, size, model, folder, scratch, rate or float("inf"))
        attempt(f"decode {size}", 30, decode, size, model, folder)
        del model
        if not options.cpu:
            torch.cuda.empty_cache()
    if "smollm2" in folders:
        attempt("train", 40, train, scratch / "smollm2", scratch, folders["smollm2"])
    # The last one loads 27 GB on a CPU.
    for size, vocabulary in folders.items():
        needs = {"smollm2": 10, "gpt2-xl": 40, "llama2-7b": 120}[size]
        attempt(f"CPU and device {size}", needs, both, size, scratch / size, scratch, vocabulary)


def table():
    lines = ["| step | what | value | |", "|---|---|---|---|"]
    for row in RESULTS["rows"]:
        value = row["value"]
        if isinstance(value, dict):
            value = ", ".join(f"{key} {inner}" for key, inner in value.items())
        mark = {None: "", True: "ok", False: "FAILED"}[row["holds"]]
        lines.append(f"| {row['step']} | {row['what']} | {value} | {mark} |")
    return "\n".join(lines) + "\n"


if not options.cpu and not torch.cuda.is_available():
    sys.exit("this torch sees no GPU; --cpu tries the kit without one")
with tempfile.TemporaryDirectory(dir=options.out) as folder:
    scratch = Path(folder)
    attempt("environment", 0, environment)
    attempt("parity", 0, parity, scratch)
    attempt("sessions", 20, sessions, scratch)
    size_by_size(scratch)
RESULTS["seconds"] = round(time.time() - STARTED)
(options.out / "kit.json").write_text(json.dumps(RESULTS, indent=1))
(options.out / "kit.md").write_text(table())
print("\n" + table())
if RESULTS["failed"]:
    sys.exit("failed: " + "; ".join(RESULTS["failed"]))
