#!/usr/bin/env python3
"""Writing all levels of a folder of hidden states in other formats, and reading each level once.

    store.py HIDDEN SCRATCH

One line of JSON a format: bytes on disk, seconds to write all levels, seconds to read each once.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
import torch
from safetensors.numpy import save_file

import states


def npy_write(folder, levels):
    for k, x in enumerate(levels):
        np.save(folder / f"{k}.npy", x)


def torch_write(folder, levels):
    for k, x in enumerate(levels):
        torch.save(torch.from_numpy(x), folder / f"{k}.pt")


def safetensors_write(folder, levels):
    save_file({str(k): x for k, x in enumerate(levels)}, folder / "all.safetensors")


def safetensors_read(folder, k):
    with safetensors.safe_open(folder / "all.safetensors", "np") as file:
        return file.get_tensor(str(k))


def parquet_write(folder, levels):
    width = levels[0].shape[1]
    columns = {f"level_{k:02}": pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), width) for k, x in enumerate(levels)}
    pq.write_table(pa.table(columns), folder / "part-00000.parquet", compression="zstd")


FORMATS = {
    "npy": (npy_write, lambda folder, k: np.load(folder / f"{k}.npy")),
    "torch.save": (torch_write, lambda folder, k: torch.load(folder / f"{k}.pt")),
    "safetensors": (safetensors_write, safetensors_read),
    "pyarrow zstd": (parquet_write, states.level),
}

source, scratch = Path(sys.argv[1]), Path(sys.argv[2])
levels = [np.ascontiguousarray(states.level(source, k)) for k in range(states.levels(source))]
for name, (write, read) in FORMATS.items():
    folder = scratch / name.replace(" ", "-")
    folder.mkdir()
    started = time.perf_counter()
    write(folder, levels)
    written = time.perf_counter() - started
    started = time.perf_counter()
    for k in range(len(levels)):
        x = read(folder, k)
    read_seconds = time.perf_counter() - started
    assert np.array_equal(np.asarray(x), levels[-1])
    disk = sum(path.stat().st_size for path in folder.iterdir())
    print(json.dumps({"format": name, "disk": disk, "write": written, "read": read_seconds}))
