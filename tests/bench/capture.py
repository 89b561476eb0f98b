#!/usr/bin/env python3
"""Hidden states of one position a sentence with transformers, as Onejump captures them, to a .npy file.

    capture.py plain  MODEL.gguf SAMPLES.jsonl OUT.npy    batches of 8 padded sentences, output_hidden_states=True
    capture.py tuned  MODEL.gguf SAMPLES.jsonl OUT.npy    sorted, cut after the position, batches of 32, hooks, no head

Prints one line of JSON: seconds without imports and loading the model.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers

PLAIN_BATCH, TUNED_BATCH = 8, 32


def padded(rows):
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return ids, mask


def plain(model, samples):
    """What the documentation of transformers leads to. Its last hidden state comes after the final norm."""
    states = []
    for start in range(0, len(samples), PLAIN_BATCH):
        batch = samples[start : start + PLAIN_BATCH]
        ids, mask = padded([sample["input_ids"] for sample in batch])
        hidden = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False).hidden_states
        positions = torch.tensor([sample["position"] for sample in batch])
        states.append(torch.stack(hidden, 1)[torch.arange(len(batch)), :, positions])
    return torch.cat(states)


def tuned(model, samples):
    """Nothing that the states do not need, in the batches that are fastest here."""
    base = model.model
    order = sorted(range(len(samples)), key=lambda i: samples[i]["position"])
    width = base.config.hidden_size
    states = torch.empty(len(samples), base.config.num_hidden_layers + 1, width)
    place = {}

    def tap(level):
        def hook(module, args, kwargs=None):
            hidden = args[0] if args else kwargs["hidden_states"]
            states[place["rows"], level] = hidden[torch.arange(len(place["rows"])), place["last"]]
        return hook

    for level, layer in enumerate(base.layers):
        layer.register_forward_pre_hook(tap(level), with_kwargs=True)
    base.norm.register_forward_pre_hook(tap(len(base.layers)))
    for start in range(0, len(order), TUNED_BATCH):
        rows = order[start : start + TUNED_BATCH]
        ids, mask = padded([samples[i]["input_ids"][: samples[i]["position"] + 1] for i in rows])
        place["rows"], place["last"] = torch.tensor(rows), mask.sum(1) - 1
        base(input_ids=ids, attention_mask=mask, use_cache=False)
    return states


def main():
    how, path, samples, out = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    samples = [json.loads(line) for line in open(samples)]
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    started = time.perf_counter()
    with torch.inference_mode():
        states = {"plain": plain, "tuned": tuned}[how](model, samples)
        np.save(out, states.numpy())
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
