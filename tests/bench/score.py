#!/usr/bin/env python3
"""Mean signed-square cosine of every jump at every level, to a .npy file.

    score.py pairs HIDDEN JUMPS.safetensors OUT.npy    PyTorch, one pair after another, as the definition reads
    score.py trick HIDDEN JUMPS.safetensors OUT.npy    NumPy: norms and products in the r coordinates

Prints one line of JSON: seconds without imports.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import states


def jump(tensors, m, eps):
    get = lambda name: tensors[f"level.{m}.{name}"]
    scale = get("norm.weight") / np.sqrt(get("norm.running_var") + eps)
    matrix = scale[:, None] * get("a")
    return matrix, (get("norm.bias") - get("norm.running_mean") * scale) @ get("a"), get("b")


def pairs(folder, tensors, count, eps):
    import torch

    y = torch.tensor(states.level(folder, count))
    maps = [tuple(map(torch.tensor, jump(tensors, m, eps))) for m in range(count)]
    table = np.zeros((count, count + 1))
    for level in range(count + 1):
        x = torch.tensor(states.level(folder, level))
        for m, (matrix, constant, b) in enumerate(maps):
            predicted = (x @ matrix + constant) @ b
            cosine = torch.nn.functional.cosine_similarity(predicted, y).double()
            table[m, level] = (cosine.sign() * cosine**2).mean()
    return table


def trick(folder, tensors, count, eps):
    y = states.level(folder, count)
    maps = [jump(tensors, m, eps) for m in range(count)]
    length = np.linalg.norm(y, axis=1)
    products = [y @ b.T for _, _, b in maps]  # (N, r): ĥ·h_K = u·(B·h_K)
    grams = [b @ b.T for _, _, b in maps]  # ‖ĥ‖² = u·(B·Bᵀ)·uᵀ
    table = np.zeros((count, count + 1))
    for level in range(count + 1):
        x = states.level(folder, level)
        for m, (matrix, constant, _) in enumerate(maps):
            u = x @ matrix + constant
            product = np.einsum("ij,ij->i", u, products[m])
            norm = np.sqrt(np.maximum(np.einsum("ij,ij->i", u @ grams[m], u), 0)) * length
            cosine = (product / np.maximum(norm, 1e-30)).astype(np.float64)
            table[m, level] = (np.sign(cosine) * cosine**2).mean()
    return table


def main():
    how, folder, file, out = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    started = time.perf_counter()
    tensors = load_file(file)
    table = {"pairs": pairs, "trick": trick}[how](folder, tensors, states.levels(folder) - 1, 1e-5)
    np.save(out, table)
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
