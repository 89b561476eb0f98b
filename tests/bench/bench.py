#!/usr/bin/env python3
"""Onejump beside what a user would run instead, on this machine.

    bench.py --release TARGET/release --model MODEL.gguf --out DIR [--rounds 3] [--only capture,train] [--quick]

Every contender of a stage does the same work on the same files with the same number of threads; rounds are
interleaved, medians reported.  Ours is the whole process of a binary (capture: its own time, without loading the
model, as for the others); theirs is without imports.  Writes DIR/bench.parquet, bench.md and bench.svg.
`cargo xtask bench` installs what this needs, and runs it.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import generate

HERE = Path(__file__).parent
DATA = HERE / "../../data/wikipedia"
RANK = 57
CAPTURED, TRAINED, TESTED = 300, 9000, 3000
QUICK = (60, 900, 300)
EPOCHS = 50
# SmolLM2-135M: weights of a block, and of its last one for a sampled row; attention is counted apart.
BLOCKS, HIDDEN, VOCABULARY = 30, 576, 49152
# Of the paper's models: blocks, hidden size, vocabulary, weights of the blocks.
LARGER = (("GPT2-XL", 48, 1600, 50257, 1.475e9), ("Phi3-Mini", 32, 3072, 32064, 3.624e9), ("Llama2-7B", 32, 4096, 32000, 6.476e9))


class Bench:
    def __init__(self, options, scratch):
        self.options, self.scratch, self.rows, self.lines = options, scratch, [], []
        self.threads = options.threads or os.cpu_count()
        self.tokens = None  # to the sampled position, on average
        self.machine = json.loads(self.python("machine.py").stdout.splitlines()[-1])
        print(f"{self.machine['processor']}, {self.machine['threads']} threads: float32 products "
              f"{self.machine['gemm_flops'] / 1e9:.0f} GFLOP/s, copies {self.machine['bytes_per_second'] / 1e9:.1f} GB/s\n")

    def run(self, command):
        # OpenBLAS chooses its kernels for the processor, unless the environment makes it choose old ones.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
        environment |= {"OMP_NUM_THREADS": str(self.threads), "TRANSFORMERS_VERBOSITY": "error"}
        started = time.perf_counter()
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
        done.seconds = time.perf_counter() - started
        return done

    def python(self, script, *arguments):
        return self.run([sys.executable, HERE / script, *arguments])

    def ours(self, binary, *arguments):
        return self.run([self.options.release / binary, *arguments])

    def stage(self, name, contenders, operations=None):
        """contenders: label -> function that runs it once and returns its seconds. The first is ours."""
        seconds = {label: [] for label in contenders}
        for _ in range(self.options.rounds):
            for label, once in contenders.items():
                seconds[label].append(once())
        medians = {label: statistics.median(values) for label, values in seconds.items()}
        first = next(iter(medians))
        for label, median in medians.items():
            share = operations / median / self.machine["gemm_flops"] if operations and label == first else None
            self.row(name, label, median, median / medians[first], share, min(seconds[label]), max(seconds[label]))

    def row(self, stage, contender, seconds, ratio=None, share=None, fastest=None, slowest=None, bytes=None):
        self.rows.append(dict(stage=stage, contender=contender, seconds=seconds, ratio=ratio, share_of_gemm=share,
                              fastest=fastest, slowest=slowest, bytes=bytes))
        share = f"{share:6.0%}" if share else ""
        size = f"{bytes / 1e6:8.1f} MB" if bytes else ""
        print(f"{stage:<28} {contender:<42} {seconds:9.2f} s {f'{ratio:7.2f}x' if ratio else ''} {share}{size}", flush=True)

    def reported(self, done):
        return json.loads(done.stdout.splitlines()[-1])["seconds"]

    # The stages.

    def hidden(self, split, count):
        out = self.scratch / split
        self.ours("onejump-capture", "--model", self.options.model, "--sentences", DATA / f"{split}.txt",
                  "--limit", count, "--out", out)
        return out

    def capture(self, count):
        folder, rows = self.hidden("test", count), []
        for part in sorted(folder.glob("part-*.parquet")):
            rows += pq.read_table(part, columns=["token_ids", "position"]).to_pylist()
        samples = self.scratch / "samples.jsonl"
        samples.write_text("".join(json.dumps({"input_ids": r["token_ids"], "position": r["position"]}) + "\n" for r in rows))
        model = Path(self.options.model)

        def ours():
            out = Path(tempfile.mkdtemp(dir=self.scratch)) / "hidden"
            done = self.ours("onejump-capture", "--model", model, "--samples", samples, "--out", out)
            return float(re.search(r"tokens in ([\d.]+) s", done.stdout)[1])

        def theirs(how):
            out = self.scratch / f"{how}.npy"
            seconds = self.reported(self.python("capture.py", how, model, samples, out))
            if how == "tuned":
                self.agree("states", np.load(out)[:, BLOCKS], folder)
            return seconds

        self.stage(f"capture, {len(rows)} sentences", {
            "onejump-capture": ours,
            "transformers: tuned": lambda: theirs("tuned"),
            "transformers: padded, all hidden states": lambda: theirs("plain"),
        }, capture_operations(rows))
        self.tokens = sum(row["position"] + 1 for row in rows) / len(rows)

    def agree(self, what, theirs, folder):
        import states
        ours = states.level(folder, BLOCKS)
        error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        assert error < 1e-4, f"{what}: {error}"

    def train(self, hidden, samples):
        file = self.scratch / "n-njtc.safetensors"
        losses = {}

        def ours(solver, *more):
            out = self.scratch / f"ours-{solver}.safetensors"
            return self.ours("onejump-train", "--hidden", hidden, "--kind", "n-njtc", "--rank", RANK, "--solver", solver,
                             "--out", out, *more).seconds

        def theirs(how, *more):
            done = self.python("train.py", how, hidden, RANK, self.scratch / f"{how}.npz", *more)
            losses[how] = json.loads(done.stdout.splitlines()[-1])["loss"]
            return self.reported(done)

        epochs = 5 if self.options.quick else EPOCHS
        gram = 2 * BLOCKS * 2 * samples * HIDDEN * HIDDEN  # two H×H moments a level
        self.stage(f"train {BLOCKS} jumps, {samples} samples", {
            "onejump-train, closed form": lambda: ours("closed-form"),
            "NumPy closed form, float64": lambda: theirs("closed-form"),
        }, gram)
        rounds, self.options.rounds = self.options.rounds, 1
        self.stage(f"train, {epochs} epochs", {
            "onejump-train, adam": lambda: ours("adam", "--epochs", epochs),
            "PyTorch Adam": lambda: theirs("adam", epochs),
        })
        self.options.rounds = rounds
        print(f"  mean losses: NumPy {losses['closed-form']:.1f}, PyTorch Adam {losses['adam']:.1f}")
        return (self.scratch / "ours-closed-form.safetensors").rename(file)

    def score(self, hidden, jumps, samples):
        out = self.scratch / "scores.parquet"
        rounds, self.options.rounds = self.options.rounds, min(self.options.rounds, 2)
        table = {}

        def theirs(how):
            path = self.scratch / f"{how}.npy"
            seconds = self.reported(self.python("score.py", how, hidden, jumps, path))
            table[how] = np.load(path)
            return seconds

        self.stage(f"score {BLOCKS} x {BLOCKS + 1} pairs, {samples} samples", {
            "onejump-score": lambda: self.ours("onejump-score", "--hidden", hidden, "--shortcuts", jumps, "--out", out).seconds,
            "NumPy, r x r trick": lambda: theirs("trick"),
            "PyTorch, pair by pair": lambda: theirs("pairs"),
        }, 2 * BLOCKS * (BLOCKS + 1) * samples * HIDDEN * RANK)
        self.options.rounds = rounds
        ours = pq.read_table(out).to_pandas().pivot(index="jump", columns="level", values="mean_signed_square").to_numpy()
        for how, theirs in table.items():
            assert np.abs(ours - theirs).max() < 1e-4, f"{how}: {np.abs(ours - theirs).max()}"

    def evaluate(self, hidden, jumps, samples):
        table, timed = {}, {}

        def ours():
            out = self.scratch / "results"
            done = self.run_logged("onejump-evaluate", "--hidden", hidden, "--train-hidden", hidden, "--model",
                                   self.options.model, "--shortcuts", jumps, "--arbitrary", 0, "--out", out)
            timed.update({name.strip(): float(seconds) for name, seconds in re.findall(r"evaluated (.+): ([\d.]+) s", done.stderr)})
            return next(seconds for name, seconds in timed.items() if name.startswith("n-njtc"))

        def theirs(how):
            path = self.scratch / f"evaluated-{how}.npy"
            seconds = self.reported(self.python("evaluate.py", how, hidden, jumps, self.options.model, path))
            table[how] = np.load(path)
            return seconds

        rounds, self.options.rounds = self.options.rounds, min(self.options.rounds, 2)
        self.stage(f"evaluate n-njtc, {samples} samples", {
            "onejump-evaluate": ours,
            "PyTorch, fused head": lambda: theirs("fused"),
            "PyTorch, the model's head": lambda: theirs("head"),
        }, 2 * BLOCKS * samples * RANK * VOCABULARY + 2 * BLOCKS * RANK * HIDDEN * VOCABULARY)
        self.options.rounds = rounds
        rows = pq.read_table(self.scratch / "results/per_level.parquet").to_pandas()
        rows = rows[rows.method == "n-njtc"].sort_values("level")
        ours = rows[["precision_1", "precision_5", "precision_10", "surprisal", "mat_surprisal"]].to_numpy()
        for how, theirs in table.items():
            # One sample in thousands may change sides at a near tie.
            assert np.abs(ours - theirs).max() < 2e-3, f"{how}: {np.abs(ours - theirs).max()}"

    def run_logged(self, binary, *arguments):
        os.environ["RUST_LOG"] = "onejump_evaluate=debug"
        try:
            return self.ours(binary, *arguments)
        finally:
            del os.environ["RUST_LOG"]

    def store(self, hidden):
        done = self.run([self.options.release / "examples/throughput", hidden, self.scratch])
        lines = done.stdout.splitlines()
        folder = self.scratch / "formats"
        folder.mkdir()
        lines += self.python("store.py", hidden, folder).stdout.splitlines()
        ours = [json.loads(line) for line in lines]
        raw = ours[0]["raw"]
        print(f"store: {raw / 1e6:.0f} MB of float32")
        for row in ours:
            mine = row["format"] in ("parts", "f32", "f16", "bf16")
            label = f"onejump {row['format']}" if mine else row["format"]
            if "write" in row:
                self.row("store, write all levels", label, row["write"], bytes=row["disk"])
            self.row("store, read each level", label, row["read"], bytes=row["disk"])

    def measured(self, binary, *arguments):
        """Seconds and the largest resident set of one run."""
        code = ("import resource, subprocess, sys, time; start = time.perf_counter(); "
                "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
                "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)")
        done = self.run([sys.executable, "-c", code, self.options.release / binary, *arguments])
        seconds, peak = done.stdout.split()[-2:]
        return float(seconds), int(peak)

    def memory(self):
        """The largest resident set of a capture must not depend on the number of sentences."""
        for count in (1000, 4000):
            out = Path(tempfile.mkdtemp(dir=self.scratch)) / "hidden"
            seconds, peak = self.measured("onejump-capture", "--model", self.options.model, "--sentences", DATA / "train.txt",
                                          "--limit", count, "--out", out)
            self.row("memory of capture", f"{count} sentences", seconds, bytes=peak)

    def scaling(self):
        """Time and memory of train and score against N, r, K and H, on synthetic states: fitted exponents.

        What a run of next to nothing takes (libtorch is loaded) is taken away before."""
        base = dict(n=3000, r=32, k=8, h=512)
        nothing = dict(n=64, r=1, k=1, h=8)
        values = dict(n=(1000, 3000, 9000), r=(32, 64), k=(8, 16), h=(512, 1024))
        cells = [nothing] + [base | {key: value} for key in base for value in values[key]]
        measured = {}
        for cell in {tuple(cell.items()): cell for cell in cells}.values():
            with tempfile.TemporaryDirectory(dir=self.scratch) as scratch:
                folder = synthetic(Path(scratch), **cell)
                jumps = folder / "jumps.safetensors"
                train = ("onejump-train", "--hidden", folder, "--kind", "n-njtc", "--rank", cell["r"], "--out", jumps)
                score = ("onejump-score", "--hidden", folder, "--shortcuts", jumps, "--out", folder / "s.parquet")
                measured[tuple(cell.values())] = [min(self.measured(*command) for _ in range(3)) for command in (train, score)]
        for place, stage in enumerate(("train", "score")):
            least_time, least_memory = measured[tuple(nothing.values())][place]
            for key in base:
                points = [(value, *measured[tuple((base | {key: value}).values())][place]) for value in values[key]]
                x = np.log([value for value, _, _ in points])
                time_exponent = np.polyfit(x, np.log([seconds - least_time for _, seconds, _ in points]), 1)[0]
                memory_exponent = np.polyfit(x, np.log([peak - least_memory for _, _, peak in points]), 1)[0]
                name = key if key == "r" else key.upper()
                steps = " to ".join(str(value) for value in values[key])
                self.row(f"growth of {stage}", f"{name} {steps}: time^{time_exponent:.2f}, memory^{memory_exponent:.2f}",
                         points[-1][1], bytes=points[-1][2])

    def pipeline(self, captured):
        """Capture, one set of jumps, its scores and its evaluation: the sum of the stages' medians, the capture's in
        proportion to the sentences.  Python's best takes the faster peer of each stage, the plain one the slower."""
        stages = {}
        for row in self.rows:
            if row["ratio"]:
                factor = (TRAINED + TESTED) / captured if row["stage"].startswith("capture") else 1
                stages.setdefault(row["stage"].split(",")[0].split(" ")[0], []).append((row["contender"], factor * row["seconds"]))
        if not {"capture", "train", "score", "evaluate"} <= stages.keys():
            return
        own = sum(min(seconds for label, seconds in rows if label.startswith("onejump")) for rows in stages.values())
        theirs = {stage: [seconds for label, seconds in rows if not label.startswith("onejump")] for stage, rows in stages.items()}
        totals = {"onejump": own, "Python's best": sum(map(min, theirs.values())), "Python, plain": sum(map(max, theirs.values()))}
        for label, seconds in totals.items():
            self.row(f"all four, {TRAINED} + {TESTED} sentences", label, seconds, seconds / own)

    def on_paper(self, tokens):
        """What the paper's models would take: their operations, at the shares of the product rate that the stages
        reached with SmolLM2. Sentences of the same length; the decomposition of an H×H matrix is taken as 10·H³."""
        share = {row["stage"].split(",")[0].split(" ")[0]: row["share_of_gemm"] for row in self.rows if row["share_of_gemm"]}
        if not {"capture", "train", "score", "evaluate"} <= share.keys():
            return []
        rate = {stage: value * self.machine["gemm_flops"] for stage, value in share.items()}
        lines = []
        for name, blocks, hidden, vocabulary, block_weights in LARGER:
            rank, samples, tested = hidden // 10, TRAINED, TESTED
            operations = {
                "capture": 2 * (samples + tested) * tokens * block_weights,
                "train": blocks * (2 * 2 * samples * hidden**2 + 10 * hidden**3),
                "score": 2 * blocks * (blocks + 1) * samples * hidden * rank,
                "evaluate": 2 * blocks * rank * vocabulary * (tested + hidden),
            }
            minutes = {stage: count / rate[stage] / 60 for stage, count in operations.items()}
            lines.append((name, rank, minutes))
        return lines


def capture_operations(rows):
    """Multiplications and additions that the states need: the tokens up to the position; in the last block keys and
    values for all of them, the rest for the sampled one."""
    kv, inner = 192, 1536
    token = 2 * (HIDDEN * (HIDDEN + 2 * kv) + HIDDEN * HIDDEN + 3 * HIDDEN * inner)
    lengths = np.array([row["position"] + 1 for row in rows])
    attention = 2 * 2 * HIDDEN * (lengths * (lengths + 1) / 2)
    last = lengths * 2 * HIDDEN * 2 * kv + 2 * (2 * HIDDEN * HIDDEN + 3 * HIDDEN * inner) + 4 * HIDDEN * lengths
    return float(((BLOCKS - 1) * (lengths * token + attention) + last).sum())


def synthetic(folder, n, r, k, h):
    """Hidden states of a random walk from level to level, as Onejump stores them."""
    import hashlib
    random = np.random.default_rng(0)
    x = random.normal(size=(n, h)).astype(np.float32)
    columns = {"sample_id": pa.array(np.arange(n, dtype=np.uint64)), "sentence": pa.nulls(n, pa.string()),
               "token_ids": pa.array([[0]] * n, pa.list_(pa.int32())), "position": pa.array(np.zeros(n, np.uint32))}
    for level in range(k + 1):
        columns[f"level_{level:02}"] = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), h)
        x = x + random.normal(size=(n, h)).astype(np.float32)
    path = folder / "part-00000.parquet"
    pq.write_table(pa.table(columns), path, compression="zstd")
    part = {"file": path.name, "samples": n, "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    inputs = dict(model="synthetic", architecture="none", model_sha256="0" * 64, hidden_size=h, blocks=k, vocab_size=1,
                  sentences="none", sentences_sha256="0" * 64, samples=n, truncated=0, seed=0, position_0=True, bos=False,
                  dtype="f32", store_dtype="f32", onejump="bench", libtorch="none")
    manifest = dict(format=1, inputs=inputs, samples_per_part=n, parts=[part], parts_total=1)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def write(bench, out):
    out.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([("stage", pa.string()), ("contender", pa.string()), ("seconds", pa.float64()), ("ratio", pa.float64()),
                        ("share_of_gemm", pa.float64()), ("fastest", pa.float64()), ("slowest", pa.float64()), ("bytes", pa.int64())])
    table = pa.Table.from_pylist(bench.rows, schema).replace_schema_metadata({k: str(v) for k, v in bench.machine.items()})
    pq.write_table(table, out / "bench.parquet")
    machine = bench.machine
    lines = [f"{machine['processor']}, {machine['threads']} threads; float32 products of the model's shapes run at "
             f"{machine['gemm_flops'] / 1e9:.0f} GFLOP/s, copies at {machine['bytes_per_second'] / 1e9:.1f} GB/s. "
             f"Medians of {bench.options.rounds} interleaved rounds (fewer for the slowest).", "",
             "| stage | what | seconds | times ours | share of the product rate | on disk or in memory |",
             "|---|---|---:|---:|---:|---:|"]
    for row in bench.rows:
        cells = [row["stage"], row["contender"], f"{row['seconds']:.2f}", f"{row['ratio']:.1f}" if row["ratio"] else "",
                 f"{row['share_of_gemm']:.0%}" if row["share_of_gemm"] else "", f"{row['bytes'] / 1e6:.0f} MB" if row["bytes"] else ""]
        lines.append("| " + " | ".join(cells) + " |")
    if bench.tokens and (larger := bench.on_paper(bench.tokens)):
        lines += ["", f"On paper, from these rates and the operations: minutes for {TRAINED} training and {TESTED} test sentences "
                  f"of {bench.tokens:.1f} tokens, at r = H/10 (evaluate: one low-rank method).", "",
                  "| model | r | capture | train | score | evaluate |", "|---|---:|---:|---:|---:|---:|"]
        lines += [f"| {name} | {rank} | " + " | ".join(f"{value:.1f}" for value in minutes.values()) + " |"
                  for name, rank, minutes in larger]
    if bench.lines:
        lines += ["", *(f"- {line}" for line in bench.lines)]
    (out / "bench.md").write_text("\n".join(lines) + "\n")


def picture(bench, path):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"svg.fonttype": "none", "font.family": "sans-serif"})
    stages = {}
    for row in bench.rows:
        if row["ratio"]:
            stages.setdefault(row["stage"], []).append(row)
    bars = [(stage, row) for stage, rows in stages.items() for row in rows]
    figure, axes = plt.subplots(figsize=(8, 0.34 * (len(bars) + len(stages)) + 0.6), layout="constrained")
    least, most = min(row["ratio"] for _, row in bars), max(row["ratio"] for _, row in bars)
    left = 0.8 * min(1.0, least)
    y, ticks, labels = 0, [], []
    for stage, rows in stages.items():
        axes.text(left, y, stage, weight="bold", va="center", fontsize=9)
        y += 1
        for place, row in enumerate(rows):
            ours = "#1b6e53" if place == 0 else "#8fbfae" if row["contender"].startswith("onejump") else None
            axes.barh(y, row["ratio"], color=ours or "#b9c2c9", height=0.7)
            axes.text(row["ratio"] * 1.05, y, f"{row['seconds']:.2g} s" if row["seconds"] < 10 else f"{row['seconds']:.0f} s", va="center", fontsize=8)
            ticks.append(y), labels.append(row["contender"])
            y += 1
    axes.set_xscale("log")
    ticks_at = [0.5, 1, 2, 5, 10, 20, 50]
    axes.set_xticks(ticks_at, [f"{tick}×" for tick in ticks_at], minor=False)
    axes.minorticks_off()
    axes.set_xlim(left, most * 2)
    axes.set_yticks(ticks, labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("time, relative to Onejump")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--only", default="capture,train,score,evaluate,store,memory,scaling,generate")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    captured, trained, tested = QUICK if options.quick else (CAPTURED, TRAINED, TESTED)
    wanted = options.only.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(options, Path(scratch))
        if "capture" in wanted:
            bench.capture(captured)
            subprocess.run(["rm", "-r", Path(scratch) / "test"], check=True)
        if {"train", "score", "evaluate", "store"} & set(wanted):
            hidden = bench.hidden("train", trained)
            jumps = Path(scratch) / "n-njtc.safetensors"
            if "train" in wanted:
                jumps = bench.train(hidden, trained)
            else:
                bench.ours("onejump-train", "--hidden", hidden, "--kind", "n-njtc", "--rank", RANK, "--out", jumps)
            if "score" in wanted:
                bench.score(hidden, jumps, trained)
            if "evaluate" in wanted or "store" in wanted:
                test = bench.hidden("test", tested)
                if "evaluate" in wanted:
                    bench.evaluate(test, jumps, tested)
                if "store" in wanted:
                    bench.store(test)
        if not options.quick:
            bench.pipeline(captured)
        if "generate" in wanted:
            bench.lines += generate.Generate(bench).run()
        if "memory" in wanted:
            bench.memory()
        if "scaling" in wanted:
            bench.scaling()
        write(bench, options.out)
        if any(row["ratio"] for row in bench.rows):
            picture(bench, options.out / "bench.svg")
        print(f"\n{options.out}: bench.md, bench.parquet, bench.svg")


if __name__ == "__main__":
    main()
