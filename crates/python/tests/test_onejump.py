"""The module against what the programs write: `python -m unittest discover crates/python/tests`, with ONEJUMP_BIN at the
folder of the programs, PYTHONPATH at crates/python/src, and torch and transformers installed; `cargo xtask parity` does it.

A tiny run is made by the programs, and their averages are the expected values.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import transformers

import onejump

CASE = Path(__file__).parents[3] / "tests/parity/cases/llama-untied-biases"
KINDS = ["jtc", "njtc", "n-njtc", "joint", "joint-norms", "residual"]
RANK = 4


def program(name, *arguments):
    subprocess.run([Path(os.environ["ONEJUMP_BIN"]) / name, *map(str, arguments)], check=True, capture_output=True)


class Hub:
    """The hub's cache with some of a run's files, laid as its client lays it; the hub itself is away."""

    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, run, names):
        self.run, self.names, self.temporary = run, names, tempfile.TemporaryDirectory()

    def folder(self, name):
        return Path(self.temporary.name) / f"models--tiny--{name}/snapshots/{self.COMMIT}"

    def write(self, name, file, text):
        (self.folder(name) / file).write_text(text)

    def __enter__(self):
        import huggingface_hub.constants as constants

        for name, files in self.names.items():
            self.folder(name).mkdir(parents=True)
            for file in files:
                shutil.copy(self.run / file, self.folder(name))
            refs = self.folder(name).parents[1] / "refs"
            refs.mkdir()
            (refs / "main").write_text(self.COMMIT)
        self.patch = unittest.mock.patch.multiple(
            constants, HF_HUB_CACHE=self.temporary.name, ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE=True)
        self.patch.start()
        return self

    def __exit__(self, *_):
        self.patch.stop()
        self.temporary.cleanup()


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.run_dir = run = Path(cls.folder.name)
        random = np.random.default_rng(1)
        for split, count in (("train", 200), ("test", 60)):
            lines = []
            for _ in range(count):
                length = int(random.integers(1, 30))
                ids = ", ".join(map(str, random.integers(0, 96, length)))
                lines.append(f'{{"input_ids": [{ids}], "position": {length - 1}}}')
            (run / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
            program("onejump-capture", "--model", CASE, "--samples", run / f"{split}.jsonl", "--out", run / split, "--device", "cpu")
        for kind in KINDS:
            model = ["--model", CASE] if kind == "residual" else []
            program("onejump-train", "--hidden", run / "train", "--kind", kind, "--rank", RANK, *model, "--out",
                    run / f"{kind}.safetensors")
        program("onejump-score", "--hidden", run / "train", "--shortcuts", run / "n-njtc.safetensors", "--out",
                run / "scores.parquet", "--ojfa", run / "ojfa.safetensors")
        files = [run / f"{kind}.safetensors" for kind in KINDS]
        program("onejump-evaluate", "--hidden", run / "test", "--model", CASE, "--shortcuts", *files, "--ojfa",
                run / "ojfa.safetensors", "--out", run / "results")
        cls.rows = pq.read_table(run / "results/per_level.parquet").to_pylist()
        cls.samples = [eval(line) for line in (run / "test.jsonl").read_text().splitlines()]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def row(self, method, level):
        found = [row for row in self.rows if row["method"] == method and row["level"] == level]
        self.assertEqual(len(found), 1, (method, level))
        return found[0]

    def test_states_are_those_of_the_parts(self):
        states = onejump.states(self.run_dir / "test", 2)
        column = pq.read_table(self.run_dir / "test/part-00000.parquet")["level_02"].to_pylist()
        self.assertTrue(np.array_equal(states, np.array(column, dtype=np.float32)))
        # One part, whose memory the array is.
        self.assertFalse(states.flags.owndata)
        for level in (-1, 4):
            with self.assertRaisesRegex(ValueError, "possible are 0 to 3"):
                onejump.states(self.run_dir / "test", level)
        with self.assertRaisesRegex(FileNotFoundError, "has no manifest.json"):
            onejump.states(self.run_dir, 0)

    def test_states_in_bfloat16_are_rounded_ones(self):
        out = self.run_dir / "bf16"
        program("onejump-capture", "--model", CASE, "--samples", self.run_dir / "test.jsonl", "--out", out, "--device", "cpu",
                "--store-dtype", "bf16")
        exact = torch.tensor(onejump.states(self.run_dir / "test", 1))
        self.assertTrue(torch.equal(torch.tensor(onejump.states(out, 1)), exact.bfloat16().float()))

    def test_shortcuts_have_the_cosines_that_evaluation_found(self):
        final = torch.tensor(onejump.states(self.run_dir / "test", 3))
        for method in [*KINDS, "ojfa"]:
            shortcut = onejump.load(self.run_dir / f"{method}.safetensors")
            self.assertEqual(shortcut.card.blocks, 3)
            self.assertEqual(shortcut.card.rank, None if method == "jtc" else RANK)
            for level in range(3):
                hidden = torch.tensor(onejump.states(self.run_dir / "test", level))
                approximation = shortcut.at(level)(hidden)
                cosine = torch.cosine_similarity(approximation.double(), final.double()).mean().item()
                self.assertAlmostEqual(cosine, self.row(method, level)["cosine"], delta=1e-5, msg=f"{method} {level}")

    def test_the_lens_answers_as_evaluation_does(self):
        model = transformers.AutoModelForCausalLM.from_pretrained(CASE, dtype=torch.float32)
        for method, file in [("ojfa", "ojfa.safetensors"), ("n-njtc", "n-njtc.safetensors"), ("identity", None)]:
            lens = onejump.lens(model, file and self.run_dir / file)
            surprisals = np.zeros(3)
            for sample in self.samples:
                logits = lens(torch.tensor([sample["input_ids"]]))
                own = model(torch.tensor([sample["input_ids"]])).logits
                self.assertLess((logits[3] - own).abs().max(), 1e-5)
                token = own[0, -1].argmax()
                surprisals += [-logits[k][0, -1].double().log_softmax(-1)[token].item() for k in range(3)]
            for level, surprisal in enumerate(surprisals / len(self.samples)):
                self.assertAlmostEqual(surprisal, self.row(method, level)["surprisal"], delta=1e-4, msg=f"{method} {level}")
        self.assertFalse(any(block._forward_hooks for block in model.model.layers))

    def test_levels_that_are_asked_for_come_alone(self):
        model = transformers.AutoModelForCausalLM.from_pretrained(CASE, dtype=torch.float32)
        lens = onejump.lens(model, self.run_dir / "ojfa.safetensors")
        self.assertEqual(list(lens(torch.tensor([[1, 2]]), levels=[1])), [1])
        self.assertEqual(lens(torch.tensor([[1, 2]]), levels=[1])[1].shape, (1, 2, 96))

    def test_a_name_on_the_hub_is_read_from_its_cache(self):
        names = {"one": ["ojfa.safetensors"], "two": ["ojfa.safetensors", "n-njtc.safetensors"], "many": ["ojfa.safetensors", "jtc.safetensors"]}
        with Hub(self.run_dir, names) as cache:
            cache.write("many", "config.json", '{"library_name": "onejump", "default": "jtc.safetensors"}')
            expected = onejump.load(self.run_dir / "ojfa.safetensors")
            hidden = torch.tensor(onejump.states(self.run_dir / "test", 1))
            for name in ("tiny/one:ojfa.safetensors", f"tiny/two:ojfa.safetensors@{Hub.COMMIT}", "tiny/two:ojfa.safetensors@main"):
                self.assertTrue(torch.equal(onejump.load(name)(hidden), expected(hidden)), name)
            self.assertEqual(onejump.load("tiny/many").card.kind, "jtc")
            self.assertEqual(onejump.load(cache.folder("many")).card.kind, "jtc")
            self.assertEqual(onejump.load(cache.folder("one")).card.kind, "ojfa")
            with self.assertRaisesRegex(ValueError, "which of its files is meant: n-njtc.safetensors, ojfa.safetensors; name one"):
                onejump.load(cache.folder("two"))
            # Nothing listens on port 9 of this machine.
            for name in ("tiny/none", "tiny/two", "tiny/one:none.safetensors"):
                with self.assertRaisesRegex(FileNotFoundError, f"^'{name.split(':')[0]}' .* not to be had") as caught:
                    onejump.load(name)
                self.assertEqual(len(str(caught.exception).splitlines()), 1)
            cache.write("many", "config.json", '{"model_type": "gpt2"}')
            with self.assertRaisesRegex(ValueError, "holds a model"):
                onejump.load(cache.folder("many"))

    def test_without_the_hubs_client_it_is_said_what_to_install(self):
        with unittest.mock.patch.dict(sys.modules, {"huggingface_hub": None}):
            with self.assertRaisesRegex(ModuleNotFoundError, "pip install huggingface_hub"):
                onejump.load("tiny/one")
        for name in ("run/none.safetensors", "../tiny/one", "tiny/one:../x", "tiny"):
            with self.assertRaisesRegex(FileNotFoundError, "there is no file"):
                onejump.load(name)

    def test_what_does_not_fit_is_named(self):
        jump = onejump.load(self.run_dir / "ojfa.safetensors")
        with self.assertRaisesRegex(ValueError, "is for H = 36, the states have 35 values"):
            jump(torch.zeros(2, 35))
        with self.assertRaisesRegex(IndexError, "possible are 0 to 2"):
            jump.at(3)
        with self.assertRaisesRegex(FileNotFoundError, "no file"):
            onejump.load("nowhere.safetensors")
        with self.assertRaisesRegex(ValueError, "is no file of shortcuts"):
            onejump.load(CASE / "model.safetensors")
        with self.assertRaisesRegex(ValueError, "no usable safetensors file"):
            onejump.load(CASE / "config.json")
        other = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(
            vocab_size=9, hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2))
        with self.assertRaisesRegex(ValueError, "are for 3 blocks and H = 36; the model has 2 blocks and H = 8"):
            onejump.lens(other, jump)


if __name__ == "__main__":
    unittest.main()
