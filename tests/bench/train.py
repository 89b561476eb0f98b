#!/usr/bin/env python3
"""All n-njtc shortcuts of a folder of hidden states, to a .npz file.

    train.py closed-form HIDDEN RANK OUT.npz           reduced-rank regression in float64 NumPy (LAPACK)
    train.py adam        HIDDEN RANK OUT.npz EPOCHS    BatchNorm, A·B, Adam in PyTorch: batches of 64

Prints one line of JSON: seconds without imports, and the mean training loss of the maps.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

import states

EPS = 1e-5


def closed_form(x, y, rank):
    x, y = x.astype(np.float64), y.astype(np.float64)
    n, mean_x, mean_y = len(x), x.mean(0), y.mean(0)
    centred = x - mean_x
    variance = np.einsum("ij,ij->j", centred, centred) / n
    z = centred / np.sqrt(variance + EPS)
    gram, cross = z.T @ z / n, z.T @ y / n
    values, vectors = np.linalg.eigh(gram)
    keep = values > values[-1] * 1e-12
    half = (vectors[:, keep].T @ cross) / np.sqrt(values[keep])[:, None]
    fitted = half.T @ half + np.outer(mean_y, mean_y)
    b = np.linalg.eigh(fitted)[1][:, -rank:]
    a = vectors[:, keep] @ (half / np.sqrt(values[keep])[:, None]) @ b
    constant = mean_y @ b
    return (z @ a + constant) @ b.T, {"mean": mean_x, "variance": variance, "a": a, "constant": constant, "b": b.T}


def adam(x, y, rank, epochs):
    import torch

    torch.manual_seed(0)
    x, y = torch.tensor(x), torch.tensor(y)
    hidden = x.shape[1]
    norm = torch.nn.BatchNorm1d(hidden)
    a, b = torch.nn.Linear(hidden, rank, bias=False), torch.nn.Linear(rank, hidden, bias=False)
    model = torch.nn.Sequential(norm, a, b)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * (len(x) // 64))
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for batch in order.split(64):
            if len(batch) < 64:
                continue
            optimiser.zero_grad(set_to_none=True)
            loss = torch.nn.functional.mse_loss(model(x[batch]), y[batch])
            loss.backward()
            optimiser.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        predicted = model(x).numpy()
    return predicted, {name: value.numpy() for name, value in model.state_dict().items()}


def main():
    how, folder, rank, out = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    started = time.perf_counter()
    last = states.levels(folder) - 1
    y = states.level(folder, last)
    maps, losses = {}, []
    for level in range(last):
        x = states.level(folder, level)
        if how == "adam":
            predicted, found = adam(x, y, rank, int(sys.argv[5]))
        else:
            predicted, found = closed_form(x, y, rank)
        losses.append(float(((predicted - y).astype(np.float64) ** 2).sum(1).mean()))
        maps.update({f"{level}.{name}": value for name, value in found.items()})
    np.savez(out, **maps)
    print(json.dumps({"seconds": time.perf_counter() - started, "loss": float(np.mean(losses))}))


if __name__ == "__main__":
    main()
