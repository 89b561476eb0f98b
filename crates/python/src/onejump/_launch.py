"""Starts a program of Onejump with the libtorch of the installed torch.

A program is linked to libtorch, which lies in another place in every environment: the dynamic linker is told where
before the program starts. torch itself is not imported, which would take seconds.
"""

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TORCH = "2.11"
INSTALL = f"pip install 'torch=={TORCH}.*'"


def libraries() -> Path:
    """The folder of libtorch: that of LIBTORCH where it is set, else the one in torch."""
    own = os.environ.get("LIBTORCH")
    if own:
        folder = Path(own) / "lib"
        if not (folder / "libtorch_cpu.so").is_file():
            sys.exit(f"error: LIBTORCH is {own}, which has no lib/libtorch_cpu.so; unset it, or name a libtorch {TORCH}")
        return folder
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        sys.exit(f"error: torch {TORCH} is not installed beside {sys.executable}; {INSTALL}")
    version = importlib.metadata.version("torch")
    if not version.startswith(f"{TORCH}."):
        sys.exit(f"error: torch {version} is installed, and Onejump is built for torch {TORCH}; {INSTALL}")
    return Path(spec.origin).parent / "lib"


def arguments(program: str, given: list[str]) -> list[str]:
    """What a program is started with: the reproduction finds its sentences here, and its runs where it is called.

    The user's options come last, and the last one counts.
    """
    if program != "onejump-reproduce":
        return given
    return ["--sentences", str(HERE / "wikipedia"), "--runs", "runs", *given]


def environment() -> dict[str, str]:
    """The environment of a program."""
    paths = [str(libraries()), os.environ.get("LD_LIBRARY_PATH", "")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, paths))}


def main() -> None:
    """Becomes the program by whose name this is called."""
    name = Path(sys.argv[0]).name
    program = HERE / "bin" / name
    if not program.is_file():
        sys.exit(f"error: this installation has no {program}; install onejump again")
    os.execve(program, [name, *arguments(name, sys.argv[1:])], environment())
