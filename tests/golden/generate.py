#!/usr/bin/env python3
"""The most likely tokens that transformers adds to prompts, with SmolLM2 in f32.

    python generate.py FILE.gguf > generate.json

FILE.gguf is the built-in model (`smollm2-135m`), which transformers dequantises.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = [
    ("The University of Oxford is", 24),
    ("def fibonacci(n):\n", 32),
    ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,", 24),
    ("Der Rhein ist ein Fluß in", 24),
]


def main():
    path = Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    rows = []
    for prompt, count in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            added = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False)
        added = added[0, ids.shape[1]:].tolist()
        rows.append(dict(prompt=prompt, tokens=added, text=tokenizer.decode(added, skip_special_tokens=True)))
    json.dump(rows, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
