"""The stage `generate`: texts of a fixed length, in every mode, beside transformers and llama.cpp.

A jump is trained for it on text that the model writes itself, from words that the prompts here do not have; `tune` says
on the prompts how often it is right, and what that should pay (S). Every text is written alone, with the most likely
tokens; seconds are those of one text without its prompt.
"""

import json
import shlex
from pathlib import Path

HERE = Path(__file__).parent
PROMPTS = HERE / "../../data/prompts"
TRAIN = HERE / "../../data/wikipedia/train.txt"
TOKENS = 64
KINDS = ("prose", "chat", "copy")
# Texts of the model's own to train on, and the words of a sentence with which each begins.
OWN_TEXTS, WORDS = 1000, 5
LEVELS = "0..8"
# PyTorch is slow: fewer prompts say as much, a rate hardly depends on them.
PEER_PROMPTS, EXIT_PROMPTS, FORMAT_PROMPTS = 6, 2, 4
# A format of --weights, and llama.cpp's of about as many bits.
FORMATS = {"bf16": "BF16", "f16": "F16", "q8": "Q8_0", "q4": "Q4_1"}


class Generate:
    def __init__(self, bench):
        self.bench, self.model, self.scratch = bench, Path(bench.options.model), bench.scratch
        self.wide = self.scratch / "f32.gguf"
        said = bench.python("texts.py", "rewrite", self.model, self.wide).stdout
        self.blocks, self.hidden = (json.loads(said.splitlines()[-1])[key] for key in ("blocks", "hidden"))
        self.count = 2 if bench.options.quick else bench.options.texts
        self.lines = []

    def run(self):
        jump = self.jump()
        for kind in KINDS:
            try:
                self.texts(kind, jump)
            except SystemExit as error:  # A model that is none for conversations, such as Gemma 3 270M's own.
                if kind != "chat" or "has no chat template" not in str(error):
                    raise
                self.say("chat: the checkpoint has no chat template")
        self.formats()
        self.exits(jump)
        return self.lines

    def tune(self, prompts, out, *more):
        self.bench.ours("onejump-generate", "tune", "-m", self.model, "--prompts", prompts, "-n", TOKENS, "--out", out, *more)
        return json.loads(out.read_text())

    def jump(self):
        """One jump for the early levels beside the token before, trained on what the model writes."""
        count = 20 if self.bench.options.quick else OWN_TEXTS
        begun = [" ".join(line.split()[:WORDS]) for line in TRAIN.read_text().splitlines()[:count]]
        prompts, own, hidden = (self.scratch / name for name in ("begun.txt", "own.jsonl", "own"))
        prompts.write_text("\n".join(begun) + "\n")
        self.tune(prompts, self.scratch / "card.json", "--levels", "1", "--texts", own)
        self.bench.ours("onejump-capture", "--model", self.model, "--text", own, "--column", "text", "--positions", "all",
                        "--levels", f"{LEVELS},{self.blocks}", "--out", hidden)
        out = self.scratch / "early.safetensors"
        self.bench.ours("onejump-train", "--hidden", hidden, "--kind", "one-jump", "--previous", "--model", self.model,
                        "--levels", LEVELS, "--rank", self.hidden // 10, "--out", out)
        self.say(f"a jump for levels {LEVELS}, trained on {count} texts of the model's own")
        return out

    def texts(self, kind, jump):
        prompts, chat = PROMPTS / f"{kind}.txt", ["--chat"] if kind == "chat" else []
        some = self.scratch / f"{kind}.txt"
        some.write_text("\n".join(prompts.read_text().splitlines()[: self.count]) + "\n")
        # As the file stores them, in fewer bits, rows cost more: what that means for drafts is seen on prose.
        for weights in ("f32", None) if kind == "prose" else ("f32",):
            rounding = ["--weights", weights] if weights else []
            card = self.scratch / f"{kind}-{weights}.json"
            measured = self.tune(some, card, "--jump", jump, "--levels", LEVELS, *rounding, *chat)
            readings = sorted(measured["readings"], key=lambda reading: -reading["acceptance"][0])
            chain = max(measured["readings"], key=lambda reading: speedup(measured["costs"], reading, chain=1))
            tree = max(measured["readings"], key=lambda reading: speedup(measured["costs"], reading, siblings=4))
            rows = ", ".join(f"{value:.2f}" for value in measured["costs"]["rows"])
            without = measured["without_looks"]
            self.say(f"{kind}, {weights or 'exact'}: a token {measured['costs']['token_ms']:.1f} ms, 1 to 6 rows {rows}; "
                     f"right: jump {readings[0]['acceptance'][0]:.0%} at level {readings[0]['level']}, at level 0 "
                     f"{measured['readings'][0]['acceptance'][0]:.0%}, n-gram {without['ngram']:.0%}, pairs {without['bigram']:.0%}")
            name = f"generate {TOKENS} tokens, {kind}, {weights or 'as stored'}"
            early = ["--mode", "speculative", "--jump", jump, "--level"]
            ours = {
                "n-gram": (["--mode", "speculative", "--ngram"], None),
                f"jump at level {chain['level']}, a chain of 1": (
                    [*early, chain["level"], "--draft-max", 1], speedup(measured["costs"], chain, chain=1)),
                f"jump at level {tree['level']}, 4 siblings": (
                    [*early, tree["level"], "--siblings", 4], speedup(measured["costs"], tree, siblings=4)),
                "level auto": ([*early, "auto", "--card", card], max(1.0, max(r["speedup"] for r in measured["readings"]))),
                "n-gram, else level auto": ([*early, "auto", "--card", card, "--ngram"], None),
            }
            if kind != "prose":
                ours = {label: mode for label, mode in ours.items() if "auto" not in label}
            else:
                late = self.blocks * 5 // 6
                ours[f"own head at level {late}: blocks skipped"] = (["--mode", "speculative", "--level", late], None)
            rates = self.timed(some, [mode for mode, _ in ours.values()], *rounding, *chat)
            full = rates["full"]
            self.row(name, "onejump-generate, full", full["mean"], 1.0)
            for (label, (_, expected)), timed in zip(ours.items(), rates["modes"]):
                ratio = timed["ratio"]
                self.row(name, f"onejump-generate, {label}", full["mean"] * ratio["mean"], ratio["mean"])
                said = f"; S says {expected:.2f}" if expected else ""
                self.say(f"{kind}, {weights or 'exact'}, {label}: {ratio['mean']:.2f} ± {ratio['sd']:.2f} times as fast as full{said}")
            self.peers(name, full["mean"], self.wide if weights else self.model, prompts, chat, weights, kind)

    def peers(self, name, full, model, prompts, chat, weights, kind):
        self.peer(name, full, f"llama.cpp, {'F32' if weights else 'as stored'}", "llama.cpp", model, prompts, self.count, *chat)
        if weights:
            def transformers(label, count, *more):
                self.peer(name, full, f"transformers{label}", "transformers", self.model, prompts, min(self.count, count), *more, *chat)

            transformers(" generate", PEER_PROMPTS)
            transformers(", prompt lookup of 5", PEER_PROMPTS, "--lookup", 5)
            for level in range(5, self.blocks, 5) if kind == "prose" else ():
                transformers(f", assistant_early_exit={level}", EXIT_PROMPTS, "--early-exit", level)

    def peer(self, name, full, label, how, model, prompts, count, *more):
        done = self.bench.python("texts.py", how, model, prompts, count, TOKENS, *more)
        rate = json.loads(done.stdout.splitlines()[-1])["tokens_per_second"]
        self.row(name, label, rate, rate / full)

    def formats(self):
        """Every format of weights in full, beside llama.cpp on as many bytes."""
        prompts, some = PROMPTS / "prose.txt", self.scratch / "formats.txt"
        count = min(self.count, FORMAT_PROMPTS)
        some.write_text("\n".join(prompts.read_text().splitlines()[:count]) + "\n")
        for weights, kind in FORMATS.items():
            other, name = self.scratch / f"{kind}.gguf", f"generate {TOKENS} tokens, prose, {weights}"
            self.bench.python("texts.py", "rewrite", self.model, other, "--type", kind)
            rates = self.timed(some, [], "--weights", weights)
            full = rates["full"]
            self.row(name, "onejump-generate, full", full["mean"], 1.0)
            self.peer(name, full["mean"], f"llama.cpp, {kind}", "llama.cpp", other, prompts, count)
            self.say(f"prose, {weights}: {full['mean']:.0f} ± {full['sd']:.0f} tokens per second in full, {rates['bytes'] / 1e6:.0f} MB a "
                     f"token (llama.cpp's file has {other.stat().st_size / 1e6:.0f})")
            other.unlink()

    def exits(self, jump):
        """The lossy mode: speed against agreement with the text in full, and how likely the full model finds the text."""
        prompts = (PROMPTS / "prose.txt").read_text().splitlines()[: min(self.count, 4)]
        some = self.scratch / "exits.txt"
        some.write_text("\n".join(prompts) + "\n")
        levels = [self.blocks * 3 // 4, self.blocks * 5 // 6, self.blocks - 2]
        for values in ("deferred", "propagate"):
            for threshold in (0.5, 0.8):
                how = ["--mode", "exit", "--level", ",".join(map(str, levels)), "--threshold", threshold, "--kv", values]
                ratio = self.timed(some, [how])["modes"][0]["ratio"]
                checks = []
                for prompt in prompts:
                    done = self.bench.ours("onejump-generate", "-m", self.model, "-p", prompt, "-n", TOKENS, "--ignore-eos", *how,
                                           "--check", "--json")
                    checks.append(json.loads(done.stdout.splitlines()[-1]))
                mean = lambda value: sum(value(check) for check in checks) / len(checks)
                self.say(f"exit at levels {levels} above {threshold}, {values}: {ratio['mean']:.2f} ± {ratio['sd']:.2f} times as fast, "
                         f"agreement {mean(lambda c: c['check']['agreement']):.1%}, surprisal {mean(lambda c: c['check']['surprisal']):.2f} "
                         f"nats (in full {mean(lambda c: c['check']['full_surprisal']):.2f}), mean level {mean(lambda c: c['mean_level']):.1f}")

    def timed(self, prompts, modes, *more):
        """The rates of texts in full and in these modes, in turn."""
        others = [part for mode in modes for part in ("--also", shlex.join(map(str, mode)))]
        done = self.bench.ours("onejump-generate", "bench", "-m", self.model, "--prompts", prompts, "-n", TOKENS, "-t", self.bench.threads,
                               "-r", self.bench.options.rounds, "--json", *others, *more)
        return json.loads(done.stdout.splitlines()[-1])

    def row(self, stage, label, rate, ratio):
        self.bench.row(stage, label, TOKENS / rate, 1 / ratio)

    def say(self, line):
        self.lines.append(line)
        print(f"  {line}", flush=True)


def speedup(costs, reading, chain=None, siblings=None):
    """S, as the documentation of onejump-generate has it."""
    early, rows, right = reading["level"] * costs["block_share"], costs["rows"], reading["acceptance"]
    look = early + reading["look_share"]
    if chain:
        return sum(right[0] ** power for power in range(chain + 1)) / (chain * look + early + rows[chain] * (1 - early))
    return (1 + right[siblings - 1]) / (look + rows[siblings - 1] * early + rows[siblings] * (1 - early))
