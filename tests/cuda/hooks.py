#!/usr/bin/env python3
"""Whether the binaries use a libtorch with CUDA, and what they say of it. By hand, since that libtorch has 4 GB:

    cargo xtask setup --cuda && cargo build --release --workspace --bins
    python3 tests/cuda/hooks.py

--linked: the libtorch that the binaries were built with; --torch: the folder of another libtorch's libraries (torch/lib of a Python with PyTorch); --bin: the folder of the binaries,
whatever libtorch they were built with. No GPU is needed: the script looks for one itself, and expects the answers of a
machine with as many as there are.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = os.environ.get("ONEJUMP_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onejump"
CASE = ROOT / "tests/parity/cases/gpt2"
# The binaries that take --device.
PROGRAMS = ("onejump-capture", "onejump-train")

parse = argparse.ArgumentParser()
parse.add_argument("--torch", type=Path, default=Path(CACHE) / "libtorch-2.11.0-cuda/torch/lib")
parse.add_argument("--bin", type=Path, default=ROOT / "target/release")
parse.add_argument("--linked", action="store_true")
options = parse.parse_args()
TORCH, BIN = options.torch.resolve(), options.bin.resolve()
WITH_CUDA = dict(os.environ)
WITH_CUDA.pop("LD_LIBRARY_PATH", None)
if not options.linked:
    WITH_CUDA["LD_LIBRARY_PATH"] = str(TORCH)
failures = 0


def check(what, holds, said=""):
    global failures
    failures += not holds
    print(f"{'ok' if holds else 'FAILED':6} {what}" + (f": {said.strip()}" if said and not holds else ""))


def gpus():
    """How many GPUs the driver knows; 0 without one."""
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
        return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())
    except FileNotFoundError:
        return 0


def capture(folder, device):
    command = [BIN / "onejump-capture", "--model", CASE, "--samples", CASE / "samples.jsonl", "--out", folder, "--device", device]
    done = subprocess.run(command, capture_output=True, text=True, env=WITH_CUDA, timeout=300)
    return done.returncode, done.stderr


def libraries(device):
    """What a running binary has mapped. It waits for its samples, after it has chosen its device."""
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.jsonl"
        os.mkfifo(samples)
        command = [BIN / "onejump-capture", "--model", CASE, "--samples", samples, "--out", Path(folder) / "out", "--device", device]
        process = subprocess.Popen(command, env=WITH_CUDA, stderr=subprocess.PIPE, text=True)
        try:
            if device != "cpu":
                process.stderr.readline()  # "device: …"
            else:
                time.sleep(2)
            maps = Path(f"/proc/{process.pid}/maps").read_text()
        finally:
            process.kill()
            process.wait()
    return {line[line.index("/"):] for line in maps.splitlines() if "/" in line}


if not (TORCH / "libtorch_cuda.so").is_file():
    sys.exit(f"{TORCH} has no libtorch_cuda.so; bring one with cargo xtask setup --cuda, or name one with --torch")
for program in PROGRAMS:
    dynamic = subprocess.run(["readelf", "-d", BIN / program], capture_output=True, text=True).stdout
    check(f"{program} starts without CUDA's libraries", "libtorch_cpu.so" in dynamic and "libtorch_cuda.so" not in dynamic, dynamic)

mapped = libraries("auto")
for name in ("libtorch_cpu.so", "libtorch_cuda.so", "libc10_cuda.so"):
    check(f"--device auto loads {name} from {TORCH}", str(TORCH / name) in mapped, str(mapped))
check("and NVIDIA's libraries beside it", any("libcublas.so" in path for path in mapped), str(mapped))
check("--device cpu does not", not any("libtorch_cuda.so" in path for path in libraries("cpu")))

count = gpus()
print(f"       GPUs here: {count}")
with tempfile.TemporaryDirectory() as folder:
    out = Path(folder)
    status, said = capture(out / "cuda", "cuda")
    beyond_status, beyond = capture(out / "beyond", f"cuda:{count}")
    auto_status, auto = capture(out / "auto", "auto")
    if count:
        check("--device cuda takes the first GPU", status == 0 and f"device: GPU 0 of {count}" in said, said)
        check("--device cuda:N beyond the last is refused with the count", beyond_status == 1 and f"among the {count} here" in beyond, beyond)
        check("--device auto takes the first GPU", auto_status == 0 and f"device: GPU 0 of {count}" in auto, auto)
    else:
        for name, code, text in (("cuda", status, said), (f"cuda:{count}", beyond_status, beyond)):
            check(f"--device {name}: no GPU or no driver", code == 1 and "libtorch has CUDA, but there is no GPU, or no driver" in text, text)
        check("--device auto takes the CPU, and says why", auto_status == 0 and "device: the CPU; libtorch has CUDA, but" in auto, auto)

# The third answer: a libtorch without CUDA, which is the same one with that library out of sight.
with tempfile.TemporaryDirectory() as folder:
    lib = Path(folder) / "torch/lib"
    lib.mkdir(parents=True)
    (Path(folder) / "nvidia").symlink_to(TORCH.parents[1] / "nvidia")
    for library in ("libtorch_cpu.so", "libc10.so", "libgomp.so.1"):
        try:
            os.link(TORCH / library, lib / library)
        except OSError:  # Another file system.
            (lib / library).write_bytes((TORCH / library).read_bytes())
    WITH_CUDA["LD_LIBRARY_PATH"] = str(lib)
    status, said = capture(Path(folder) / "out", "cuda")
    check("a libtorch without CUDA is said to be one", status == 1 and f"the libtorch in {lib} has no CUDA" in said, said)

sys.exit(f"{failures} checks failed" if failures else 0)
