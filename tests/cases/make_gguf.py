"""Golden values for `cases_gguf.rs`, by transformers and tokenizers from the Hugging Face directory of each GGUF file.

    python make_gguf.py CASES > gguf.json

CASES holds one folder per case with `model/` (config.json, model.safetensors, tokenizer.json) beside the GGUF file.
"""

import json
import sys
from pathlib import Path

import tokenizers
import torch
import transformers

CASES = Path(sys.argv[1])
TEXTS = {"no-pre": "23-gguf-no-pre", "add-eos": "28-gguf-add-eos", "unk-text": "29-gguf-unk-text"}


def ids():
    for name, case in TEXTS.items():
        tokenizer = tokenizers.Tokenizer.from_file(str(CASES / case / "model/tokenizer.json"))
        texts = (CASES / case / "text.txt").read_text().splitlines()
        yield name, [{"text": text, "ids": tokenizer.encode(text).ids} for text in texts if text]


def states(case, count=8):
    """The residual stream after the last block, at each sample's position."""
    folder = CASES / case
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
    seen = []
    model.model.layers[-1].register_forward_hook(lambda module, x, y: seen.append(y[0] if isinstance(y, tuple) else y))
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()][:count]
    with torch.no_grad():
        for sample in samples:
            model(torch.tensor([sample["input_ids"]]))
            yield {**sample, "state": seen[-1].reshape(-1, seen[-1].shape[-1])[sample["position"]].tolist()}


json.dump({"ids": dict(ids()), "scale_linear": list(states("24-gguf-scale-linear"))}, sys.stdout, ensure_ascii=False)
