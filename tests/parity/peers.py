#!/usr/bin/env python3
"""data/peers.py on checkpoints that parity.py made: what it converts is evaluated to the values of float64 NumPy.

    python peers.py DIR BINARIES        `cargo xtask parity` does it

Random lenses and matrices, written as the packages `tuned-lens` and `jlens` and Din et al.'s code write theirs, are
converted and evaluated.  Our own shortcuts become tuned lenses, which say the same when they come back, and to the package
`tuned-lens` itself where it is installed.  What onejump-lens shows at every position is compared with the same.  Files that
would run code are refused.  The PyTorch lines of the guide are run
on a chosen jump, data/tuned_lens.py reads states of every type, begins where it is told to and descends, and what
data/jacobian_lens.py differentiates is beside finite differences.
"""

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]


def script(name):
    """A script of data/ as a module. It has the name of a package, and is not it."""
    found = importlib.util.spec_from_file_location(f"{name}_script", ROOT / f"data/{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


jacobian_lens_script, tuned_lens_script = script("jacobian_lens"), script("tuned_lens")

CASES = ["llama-grouped-tied", "gpt2"]  # RMSNorm, and LayerNorm with a bias
SAMPLES = {"train": 64, "test": 48}
# Precisions are exact; surprisals are f32 sums of some dozen values of order 1 to 10.
TOLERANCE = 1e-4


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def head(case, config):
    """float64 logits of final hidden states."""
    t = {name.removeprefix("transformer."): x.astype(np.float64) for name, x in load_file(case / "model.safetensors").items()}

    def llama(h):
        return h / np.sqrt((h**2).mean(1, keepdims=True) + config["rms_norm_eps"]) * t["model.norm.weight"] @ t["model.embed_tokens.weight"].T

    def gpt2(h):
        h = h - h.mean(1, keepdims=True)
        scaled = h / np.sqrt((h**2).mean(1, keepdims=True) + config["layer_norm_epsilon"])
        return (scaled * t["ln_f.weight"] + t["ln_f.bias"]) @ t["wte.weight"].T

    return {"llama": llama, "gpt2": gpt2}[config["model_type"]]


def metrics(approximation, final, head):
    """precision@1 and surprisal of an approximation."""
    top, logits = head(final).argmax(1), head(approximation)
    largest = logits.max(1)
    ln_sum = largest + np.log(np.exp(logits - largest[:, None]).sum(1))
    return (logits.argmax(1) == top).mean(), (ln_sum - logits[np.arange(len(top)), top]).mean()


def make_run(case, binaries):
    """A run of the case with a jtc, an n-njtc and the jump that is chosen of it."""
    folder, random = case / "run", np.random.default_rng(3)
    for split, count in SAMPLES.items():
        lines = []
        for _ in range(count):
            ids = random.integers(0, 96, random.integers(1, 20)).tolist()
            lines.append(json.dumps({"input_ids": ids, "position": len(ids) - 1}))
        samples = case / f"{split}.jsonl"
        samples.write_text("\n".join(lines) + "\n")
        run(binaries / "onejump-capture", "--device", "cpu", "--model", case, "--samples", samples, "--out", folder / "hidden" / split)
    shortcuts = folder / "shortcuts"
    for kind in ("jtc", "n-njtc"):
        run(binaries / "onejump-train", "--hidden", folder / "hidden/train", "--kind", kind, "--rank", 3, "--out", shortcuts / f"{kind}.safetensors")
    run(binaries / "onejump-score", "--hidden", folder / "hidden/train", "--shortcuts", shortcuts / "n-njtc.safetensors",
        "--out", folder / "scores.parquet", "--ojfa", folder / "ojfa.safetensors")
    return folder


def make_peers(folder, blocks, hidden):
    """A lens and matrices, and what they do to states of a level in float64."""
    torch.manual_seed(11)
    lens = torch.nn.ModuleList(torch.nn.Linear(hidden, hidden) for _ in range(blocks))
    (folder / "lens").mkdir()
    torch.save(lens.state_dict(), folder / "lens/params.pt")
    config = {"base_model_name_or_path": "x", "d_model": hidden, "num_hidden_layers": blocks, "bias": True}
    (folder / "lens/config.json").write_text(json.dumps(config))
    (folder / "linreg").mkdir()
    matrices = [torch.eye(hidden) + 0.3 * torch.randn(hidden, hidden) for _ in range(blocks)]
    for k, matrix in enumerate(matrices):
        with open(folder / f"linreg/{k}_{blocks}.pickle", "wb") as file:
            pickle.dump(matrix, file)
    double = lambda tensor: tensor.detach().double().numpy()  # noqa: E731
    jacobians = {layer: (torch.eye(hidden) + 0.2 * torch.randn(hidden, hidden)).half() for layer in range(blocks - 1)}
    torch.save(jacobian_lens(jacobians, hidden), folder / "jacobian_lens.pt")
    return {
        "tuned-lens": lambda h, k: h + h @ double(lens[k].weight).T + double(lens[k].bias),
        "jtc": lambda h, k: (double(matrices[k]) @ h.T).T,
        # Layer l is the output of block l, counted from 0: our level l + 1. The embeddings have none.
        "jacobian-lens": lambda h, k: (double(jacobians[k - 1]) @ h.T).T if k else h,
    }


def jacobian_lens(jacobians, hidden, **more):
    """What the package `jlens` saves."""
    return {"J": jacobians, "n_prompts": 7, "source_layers": sorted(jacobians), "d_model": hidden} | more


def peers(*arguments):
    return subprocess.run([sys.executable, ROOT / "data/peers.py", *arguments], capture_output=True, text=True)


def convert(folder, kind, source, *more):
    out = folder / f"shortcuts/{kind}-peer.safetensors"
    return out, peers(kind, source, "--like", folder / "shortcuts/jtc.safetensors", "--out", out, *more)


def refuses_other_jacobians(folder, blocks, hidden):
    """One line for each file that is no Jacobian lens of this model."""
    one = lambda layer, size=hidden: {layer: torch.eye(size)}  # noqa: E731
    for content, words in [
        ({"jacobian_sum": one(0), "n_done": 3}, "no Jacobian lens"),
        (torch.eye(hidden), "no Jacobian lens"),
        (jacobian_lens(one(0), hidden, target_layer=1), "target_layer"),
        (jacobian_lens(one(0), hidden, source_layers=[1]), "source_layers says [1]"),
        (jacobian_lens(one(0, hidden + 1), hidden + 1), f"H = {hidden + 1}"),
        (jacobian_lens(one(blocks), hidden), f"layers up to {blocks}"),
        (jacobian_lens(one(0) | {1: torch.full((hidden, hidden), torch.nan)}, hidden), "not finite"),
        (jacobian_lens(one(0), hidden), "--missing identity"),
    ]:
        torch.save(content, folder / "other.pt")
        _, done = convert(folder, "jacobian-lens", folder / "other.pt")
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and words in done.stderr, (words, done.stderr)
    out, done = convert(folder, "jacobian-lens", folder / "other.pt", "--missing", "identity")
    assert done.returncode == 0, done.stderr
    assert all(np.array_equal(matrix, np.eye(hidden, dtype=np.float32)) for matrix in load_file(out).values())


def check_tuned_lenses(case, folder, binaries, states, rows):
    """Ours as tuned lenses: what they say when they come back, and to the package itself."""
    files, worst = [], 0.0
    for name in ("jtc", "n-njtc", "ojfa"):
        source = folder / ("ojfa.safetensors" if name == "ojfa" else f"shortcuts/{name}.safetensors")
        lens = folder / f"{name}-lens"
        done = peers("to-tuned-lens", source, "--base-model", case, "--out", lens)
        assert done.returncode == 0, done.stderr
        back, done = convert(folder, "tuned-lens", lens, "--label", name)
        assert done.returncode == 0, done.stderr
        run(binaries / "onejump-evaluate", "--hidden", folder / "hidden/test", "--model", case, "--shortcuts", back,
            "--out", folder / f"results-{name}")
        for row in pq.read_table(folder / f"results-{name}/per_level.parquet").to_pylist():
            if row["method"] == "tuned-lens":
                ours = rows[name, row["level"]]
                worst = max(worst, abs(row["surprisal"] - ours["surprisal"]) / max(ours["surprisal"], 1.0))
        files.append((name, source, lens))
    assert worst < TOLERANCE, (case.name, worst)
    if importlib.util.find_spec("tuned_lens") is None:
        return "the package tuned-lens is not installed"
    return f"the package tuned-lens reads ours, worst {by_the_package(case, files, states):.1e}"


def by_the_package(case, files, states):
    """The package's logits of our lenses against float64, relative to the largest."""
    from transformers import AutoModelForCausalLM
    from tuned_lens.nn.lenses import TunedLens

    model = AutoModelForCausalLM.from_pretrained(case, dtype=torch.float32)
    config, worst = json.loads((case / "config.json").read_text()), 0.0
    for name, source, folder in files:
        lens = TunedLens.from_model_and_pretrained(model, str(folder))
        tensors = {key: value.astype(np.float64) for key, value in load_file(source).items()}
        for k in range(len(states) - 1):
            with torch.no_grad():
                logits = lens(torch.tensor(states[k], dtype=torch.float32), idx=k).double().numpy()
            expected = head(case, config)(applied_by_numpy(tensors, k, states[k]))
            worst = max(worst, np.abs(logits - expected).max() / np.abs(expected).max())
    assert worst < TOLERANCE, (case.name, worst)
    return worst


def check_lens(case, folder, binaries, applied, files, ids):
    """onejump-lens at every level and position of a text, through the peers' maps, beside float64."""
    lines = [json.dumps({"input_ids": ids, "position": position}) for position in range(len(ids))]
    (case / "positions.jsonl").write_text("\n".join(lines) + "\n")
    out = folder / "hidden/positions"
    run(binaries / "onejump-capture", "--device", "cpu", "--model", case, "--samples", case / "positions.jsonl", "--out", out)
    states = read_states(out)
    read = head(case, json.loads((case / "config.json").read_text()))
    ln_p, worst = ln_softmax(read(states[-1])), 0.0
    rows = lens_rows(binaries, case, ids, files, folder / "lens.parquet")
    for method, apply in {"identity": lambda h, k: h, **applied}.items():
        for k, h in enumerate(states):
            ln_q = ln_softmax(read(apply(h, k))) if k + 1 < len(states) else ln_p
            worst = max(worst, beside(rows[method, k], ln_q, ln_p))
    assert worst < TOLERANCE, (case.name, worst)
    return f"onejump-lens {worst:.1e}"


def lens_beside_the_package(case, folder, binaries, ids):
    """onejump-lens through a lens that the package tuned-lens reads, beside the package's own logits on transformers' states."""
    if importlib.util.find_spec("tuned_lens") is None:
        return ""
    from transformers import AutoModelForCausalLM
    from tuned_lens.nn.lenses import TunedLens

    back, done = convert(folder, "tuned-lens", folder / "jtc-lens")
    assert done.returncode == 0, done.stderr
    rows = lens_rows(binaries, case, ids, [back], folder / "lens.parquet")
    model = AutoModelForCausalLM.from_pretrained(case, dtype=torch.float32)
    lens, worst = TunedLens.from_model_and_pretrained(model, str(folder / "jtc-lens")), 0.0
    with torch.no_grad():
        output = model(torch.tensor([ids]), output_hidden_states=True)
        ln_p = ln_softmax(output.logits[0].double().numpy())
        for k, h in enumerate(output.hidden_states[:-1]):
            ln_q = ln_softmax(lens(h[0], idx=k).double().numpy())
            worst = max(worst, beside(rows["tuned-lens", k], ln_q, ln_p))
    assert worst < TOLERANCE, (case.name, worst)
    return f", beside the package {worst:.1e}"


def read_states(folder):
    """The states of a folder of one part, level by level."""
    table = pq.read_table(folder / "part-00000.parquet")
    return [np.array(table[name].to_pylist(), np.float64) for name in table.column_names if name.startswith("level_")]


def lens_rows(binaries, case, ids, files, out):
    """onejump-lens' rows by method and level, in the order of positions."""
    run(binaries / "onejump-lens", "--model", case, "--ids", ",".join(map(str, ids)), "--shortcuts", *files, "--metric", "kl", "--out", out)
    rows = {}
    for row in pq.read_table(out).to_pylist():
        rows.setdefault((row["method"], row["level"]), []).append(row)
    assert all([row["position"] for row in rows] == list(range(len(ids))) for rows in rows.values())
    return rows


def ln_softmax(logits):
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def beside(rows, ln_q, ln_p):
    """The largest difference of a number from its definition, relative where it is above 1."""
    true, worst = ln_p.argmax(1), 0.0
    for position, row in enumerate(rows):
        q, p = ln_q[position], ln_p[position]
        expected = {"surprisal": -q[true[position]], "kl": (np.exp(p) * (p - q)).sum(), "probability": np.exp(q.max())}
        expected |= {f"top {place}": x for place, x in enumerate(np.sort(np.exp(q))[::-1][:5])}
        found = row | {f"top {place}": x for place, x in enumerate(row["top_probabilities"])}
        worst = max([worst, *(abs(found[name] - x) / max(abs(x), 1.0) for name, x in expected.items())])
        rank = 1 + (q > q[true[position]]).sum()
        assert (row["true_id"], row["token_id"], row["rank"]) == (true[position], q.argmax(), rank), (position, row)
    return worst


def applied_by_numpy(tensors, k, h):
    """A file of ours, h·W, or norm(h)·A·B."""
    t = {name.removeprefix(f"level.{k}."): value for name, value in tensors.items()}
    if "w" in t:
        return h @ t["w"]
    normed = (h - t["norm.running_mean"]) / np.sqrt(t["norm.running_var"] + 1e-5) * t["norm.weight"] + t["norm.bias"]
    return normed @ t["a"] @ t["b"]


class Hostile:
    """Unpickled, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def refuses_code(folder, blocks):
    harm = folder / "harm"
    torch.save({"0.weight": Hostile(harm)}, folder / "lens/params.pt")
    inside = pickle.dumps(Hostile(harm))
    for content in (inside, pickle.dumps(Bytes(inside))):
        (folder / f"linreg/0_{blocks}.pickle").write_bytes(content)
        torch.save(jacobian_lens({0: Hostile(harm)}, 1), folder / "jacobian_lens.pt")
        for kind, source in (("jtc", folder / "linreg"), ("tuned-lens", folder / "lens"), ("jacobian-lens", folder / "jacobian_lens.pt")):
            _, done = convert(folder, kind, source)
            said = done.stderr.strip()
            assert done.returncode == 1 and len(said.splitlines()) == 1 and str(source) in said, said
            assert not harm.exists(), f"{kind}: the file ran code"


class Bytes:
    """What a tensor's pickle has where its numbers are, with other bytes."""

    def __init__(self, content):
        self.content = content

    def __reduce__(self):
        return torch.storage._load_from_bytes, (self.content,)


def guide_lines(folder, hidden):
    """The approximation of the guide's lines for PyTorch."""
    text = (ROOT / "crates/guide/pages/notebooks.md").read_text()
    lines = text[text.index("import torch ") :]
    names = {"hidden": hidden}
    there = os.getcwd()
    os.chdir(folder)
    exec(lines[: lines.index("```")], names)
    os.chdir(there)
    return names["approximation"].detach().double().numpy()


def reads_every_type(case, binaries, folder, states):
    """data/tuned_lens.py reads the states, but for rounding."""
    for dtype, rounding in (("f32", 0), ("f16", 2.0**-11), ("bf16", 2.0**-8)):
        out = folder / f"hidden-{dtype}"
        run(binaries / "onejump-capture", "--device", "cpu", "--model", case, "--samples", case / "test.jsonl", "--out", out, "--store-dtype", dtype)
        for k, expected in enumerate(states):
            found = tuned_lens_script.states(out, k).double().numpy()
            # Half a step of float16 below its smallest normal number is 3e-8.
            assert (np.abs(found - expected) <= np.abs(expected) * rounding + 3e-8 * (dtype == "f16")).all(), (case.name, dtype, k)


def descends_on_the_divergence(case, folder):
    """data/tuned_lens.py: at rate 0 a lens is what it begins at, in each optimiser's own form, and a few steps come closer to
    the model; a start of another size is refused."""
    start = folder / "shortcuts/jtc.safetensors"
    tensors, closer = load_file(start), []

    def train(out, *options, begins=start):
        command = [sys.executable, ROOT / "data/tuned_lens.py", "--hidden", folder / "hidden/train", "--model", case, "--start",
                   begins, "--held-out", "8", "--batch", "28", "--out", folder / out, *options]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True)

    head = tuned_lens_script.Head(case, "cpu")

    def divergence(out):
        """From the model, of the samples that it descends on: 56 are too few to do better on others."""
        found = torch.load(folder / out / "params.pt", weights_only=True)
        levels = range(len(found) // 2)
        truth = head.truth(tuned_lens_script.states(folder / "hidden/train", len(levels))[:-8])
        states = [tuned_lens_script.states(folder / "hidden/train", k)[:-8] for k in levels]
        with torch.no_grad():
            mapped = [h + h @ found[f"{k}.weight"].T + found[f"{k}.bias"] for k, h in enumerate(states)]
            return np.mean([head.divergence(head.norm(x), truth) for x in mapped])

    for optimiser in ("sgd", "axes"):
        done = train(f"begun-{optimiser}", "--optimiser", optimiser, "--scale", "0", "--steps", "1")
        assert done.returncode == 0, done.stderr
        found = torch.load(folder / f"begun-{optimiser}/params.pt", weights_only=True)
        for k in range(len(found) // 2):
            matrix = found[f"{k}.weight"].double().numpy().T
            expected = tensors[f"level.{k}.w"].astype(np.float64) - np.eye(len(matrix))
            # Two rotations in f32 and back, and the mean times the matrix that the bias gives and takes.
            size = np.abs(expected).max()
            assert np.abs(matrix - expected).max() < 1e-4 * size, (case.name, optimiser, k)
            assert found[f"{k}.bias"].abs().max() < 1e-4 * max(size, 1), (case.name, optimiser, k)
        done = train(f"trained-{optimiser}", "--optimiser", optimiser, "--scale", "1", "--steps", "60")
        assert done.returncode == 0, done.stderr
        closer.append((divergence(f"begun-{optimiser}"), divergence(f"trained-{optimiser}")))
    other = folder / "other-size.safetensors"
    save_file({name: value[:-1, :-1].copy() for name, value in tensors.items() if name.endswith(".w")}, other)
    done = train("refused", begins=other)
    # transformers' progress comes before it.
    assert done.returncode != 0 and done.stderr.splitlines()[-1].startswith(f"{other}: "), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return closer


def slope_is_autograds():
    """The gradient that data/tuned_lens.py takes over several rows at a time, beside autograd's in float64, capped and not."""
    random = torch.Generator().manual_seed(3)
    for cap in (None, 5.0):
        head = object.__new__(tuned_lens_script.Head)
        head.unembedding, head.cap = torch.randn(96, 16, generator=random), cap
        head.half = head.unembedding.bfloat16()
        x = torch.randn(19, 16, generator=random)
        truth = torch.randn(19, 96, generator=random).softmax(-1)
        exact = x.bfloat16().double().requires_grad_(True)
        logits = head.capped(exact @ head.half.double().T)
        (truth.double() * (truth.double().log() - logits.log_softmax(-1))).sum(-1).mean().backward()
        found = head.gradient(x, truth).double()
        # Logits and differences are bfloat16: 2^-8 each of what they are, logits of up to some 20.
        assert (found - exact.grad).norm() < 0.05 * exact.grad.norm(), (cap, (found - exact.grad).norm() / exact.grad.norm())


def keeps_the_rank(case, binaries, folder):
    """A lens of rank 2 is counted as one: 2·H·r + H parameters a level."""
    config = json.loads((folder / "lens/config.json").read_text())
    (folder / "lens/config.json").write_text(json.dumps(config | {"rank": 2}))
    out, done = convert(folder, "tuned-lens", folder / "lens")
    assert done.returncode == 0, done.stderr
    run(binaries / "onejump-evaluate", "--hidden", folder / "hidden/test", "--model", case, "--shortcuts", out, "--out", folder / "results-rank")
    summary = json.loads((folder / "results-rank/summary.json").read_text())
    found = [(row["rank"], row["parameters"]) for row in summary["averages"] if row["method"] == "tuned-lens"]
    expected = config["num_hidden_layers"] * (2 * config["d_model"] * 2 + config["d_model"])
    assert found == [(2, expected)], (case.name, found, expected)


def beside_finite_differences(case):
    """data/jacobian_lens.py on a text, beside a step of a state's dimension at each position to either side, in float64."""
    model, first, step = jacobian_lens_script.Model(case, torch.float64), 3, 2e-2
    ids = torch.tensor(np.random.default_rng(9).integers(0, 96, 11))
    found = jacobian_lens_script.jacobians(model, ids, first, 5)
    counted, worst = range(first, len(ids) - 1), 0.0
    for layer in range(len(found)):
        for dimension in (0, model.hidden // 2, model.hidden - 1):
            mean = torch.zeros(model.hidden, dtype=torch.float64)
            for position in counted:
                for sign in (1, -1):

                    def move(_block, _inputs, output):
                        states = output[0] if isinstance(output, tuple) else output
                        states[0, position, dimension] += sign * step

                    # In front of the model's own: what is recorded is what went on.
                    hook = model.blocks[layer].register_forward_hook(move, prepend=True)
                    with torch.no_grad():
                        last = model.run(ids[None], slopes=False)[-1]
                    hook.remove()
                    mean += sign * last[0, counted].sum(0) / (2 * step * len(counted))
            worst = max(worst, (found[layer][:, dimension] - mean).abs().max().item())
    # A step errs by its square times a third derivative, and by rounding over itself: transformers computes an RMSNorm in
    # float32 whatever the model is in. Entries are of order 1.
    assert worst < 2e-4, (case.name, worst)
    return f"jacobians beside finite differences {worst:.1e}"


def check(case, binaries):
    config = json.loads((case / "config.json").read_text())
    folder = make_run(case, binaries)
    states = read_states(folder / "hidden/test")
    blocks, hidden = len(states) - 1, states[0].shape[1]
    applied = make_peers(folder, blocks, hidden)
    files = []
    for kind, source in (("tuned-lens", "lens"), ("jtc", "linreg"), ("jacobian-lens", "jacobian_lens.pt")):
        out, done = convert(folder, kind, folder / source)
        assert done.returncode == 0, done.stderr
        files.append(out)
    run(binaries / "onejump-evaluate", "--hidden", folder / "hidden/test", "--model", case, "--shortcuts", *files,
        "--ojfa", folder / "ojfa.safetensors", "--out", folder / "results")
    # Our own jtc has the name of Din et al.'s.
    own = [folder / f"shortcuts/{kind}.safetensors" for kind in ("jtc", "n-njtc")]
    run(binaries / "onejump-evaluate", "--hidden", folder / "hidden/test", "--model", case, "--shortcuts", *own,
        "--ojfa", folder / "ojfa.safetensors", "--out", folder / "results-own")
    own = {(row["method"], row["level"]): row for row in pq.read_table(folder / "results-own/per_level.parquet").to_pylist()}
    rows = {(row["method"], row["level"]): row for row in pq.read_table(folder / "results/per_level.parquet").to_pylist()}
    worst = 0.0
    for method, apply in applied.items():
        for k in range(blocks):
            precision, surprisal = metrics(apply(states[k], k), states[-1], head(case, config))
            ours = rows[method, k]
            assert abs(ours["precision_1"] - precision) < 1e-12, (case.name, method, k, ours["precision_1"], precision)
            worst = max(worst, abs(ours["surprisal"] - surprisal) / max(surprisal, 1.0))
    assert worst < TOLERANCE, (case.name, worst)
    for k in range(blocks):
        approximation = guide_lines(folder, states[k].astype(np.float32))
        lengths = np.linalg.norm(approximation, axis=1) * np.linalg.norm(states[-1], axis=1)
        cosine = ((approximation * states[-1]).sum(1) / lengths).mean()
        assert abs(cosine - rows["ojfa", k]["cosine"]) < TOLERANCE, (case.name, k, cosine)
    ids = np.random.default_rng(5).integers(0, 96, 24).tolist()
    lens = check_lens(case, folder, binaries, applied, files, ids)
    tuned = check_tuned_lenses(case, folder, binaries, states, own)
    lens += lens_beside_the_package(case, folder, binaries, ids)
    lens += f"; {beside_finite_differences(case)}"
    refuses_other_jacobians(folder, blocks, hidden)
    keeps_the_rank(case, binaries, folder)
    refuses_code(folder, blocks)
    reads_every_type(case, binaries, folder, states)
    slope_is_autograds()
    for before, after in descends_on_the_divergence(case, folder):
        assert after < before, (case.name, before, after)
    print(f"{case.name + ', peers':<28} {3 * blocks} levels, worst relative error of a surprisal {worst:.1e}; {lens}; {tuned}; code in files refused")


if __name__ == "__main__":
    for name in CASES:
        check(Path(sys.argv[1]) / name, Path(sys.argv[2]))
