#!/usr/bin/env python3
"""What this machine can do: float32 products of the model's shapes, and memory bandwidth. One line of JSON."""

import json
import time

import numpy as np
import torch

# (tokens, in, out) of SmolLM2-135M's linear layers, for a batch of packed tokens; merged q, k, v and gate, up.
SHAPES = [(512, 576, 960), (512, 576, 576), (512, 576, 3072), (512, 1536, 576)]
COPY_BYTES = 1 << 28


def products():
    rates = []
    with torch.inference_mode():
        pairs = [(torch.randn(n, i), torch.randn(i, o), torch.empty(n, o)) for n, i, o in SHAPES]
        for _ in range(5):
            started, operations = time.perf_counter(), 0
            while time.perf_counter() - started < 0.5:
                for x, w, out in pairs:
                    torch.mm(x, w, out=out)
                    operations += 2 * x.shape[0] * w.numel()
            rates.append(operations / (time.perf_counter() - started))
    return max(rates)


def bandwidth():
    source, target = np.ones(COPY_BYTES // 4, np.float32), np.empty(COPY_BYTES // 4, np.float32)
    best = 0
    for _ in range(5):
        started = time.perf_counter()
        np.copyto(target, source)
        best = max(best, 2 * COPY_BYTES / (time.perf_counter() - started))
    return best


name = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
print(json.dumps({"processor": name, "threads": torch.get_num_threads(), "gemm_flops": products(), "bytes_per_second": bandwidth()}))
