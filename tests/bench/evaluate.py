#!/usr/bin/env python3
"""Precision and surprisals of one set of n-njtc shortcuts at every exit level, in PyTorch, to a .npy file.

    evaluate.py head  HIDDEN JUMPS.safetensors MODEL.gguf OUT.npy    approximation, then the model's own head
    evaluate.py fused HIDDEN JUMPS.safetensors MODEL.gguf OUT.npy    (u·P)/s with P = B·diag(g)·Eᵀ

Prints one line of JSON: seconds without imports, loading the model and the true distributions.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file

import score
import states

CHUNK = 256


def metrics(logits, true):
    """Sums of precision@1, 5, 10, surprisal, and of the shortcut's top tokens."""
    own = logits.gather(1, true[:, None])
    above = (logits > own).sum(1)
    surprisal = torch.logsumexp(logits, 1) - own[:, 0]
    return [(above < p).sum().item() for p in (1, 5, 10)] + [surprisal.double().sum().item()], logits.argmax(1)


def main():
    how, folder, file, path, out = sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), sys.argv[5]
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    norm, unembedding = model.model.norm, model.lm_head.weight.detach()
    count = states.levels(folder) - 1
    y = torch.tensor(states.level(folder, count))
    with torch.inference_mode():
        truth, totals = [], []
        for rows in y.split(CHUNK):
            logits = norm(rows) @ unembedding.T
            truth.append(logits.argmax(1))
            totals.append(torch.logsumexp(logits, 1))
        truth, totals, normed = torch.cat(truth), torch.cat(totals), norm(y)
        started = time.perf_counter()
        tensors = load_file(file)
        table = []
        for level in range(count):
            x = torch.tensor(states.level(folder, level))
            matrix, constant, b = map(torch.tensor, score.jump(tensors, level, 1e-5))
            fused = b @ (norm.weight[:, None] * unembedding.T) if how == "fused" else None
            sums = np.zeros(5)
            for start in range(0, len(x), CHUNK):
                u = x[start : start + CHUNK] @ matrix + constant
                hidden = u @ b
                if how == "fused":
                    scale = torch.rsqrt(hidden.square().mean(1, keepdim=True) + norm.variance_epsilon)
                    logits = (u * scale) @ fused
                else:
                    logits = norm(hidden) @ unembedding.T
                true = truth[start : start + CHUNK]
                values, tops = metrics(logits, true)
                mat = totals[start : start + CHUNK] - (normed[start : start + CHUNK] * unembedding[tops]).sum(1)
                sums += np.array(values + [mat.double().sum().item()])
            table.append(sums / len(x))
        np.save(out, np.array(table))
        print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
