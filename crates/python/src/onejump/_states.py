"""Hidden states out of a folder of `onejump-capture`."""

import json
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

FORMAT = 1


def states(folder: str | PathLike[str], level: int) -> np.ndarray:
    """The states of all samples at a level, (N, H), in the order of their `sample_id`.

    Level 0 is the embedding's output, level k the residual stream after block k. Other levels are not read. The array
    is of float32 or float16, as they are stored, and of float32 where they are stored as bfloat16; where a folder has one
    part, it is the memory that the file was read into.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    blocks, hidden = manifest["inputs"]["blocks"], manifest["inputs"]["hidden_size"]
    if not 0 <= level <= blocks:
        raise ValueError(f"{folder} has no level {level}; possible are 0 to {blocks}")
    parts = [_column(folder / part["file"], f"level_{level:02}", part["samples"]) for part in manifest["parts"]]
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(-1, hidden)


def _manifest(folder: Path) -> dict:
    path = folder / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no folder of hidden states: it has no manifest.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if manifest["format"] > FORMAT:
        raise ValueError(f"{path} is of format {manifest['format']}, which a newer Onejump writes; update onejump")
    if len(manifest["parts"]) != manifest["parts_total"]:
        done, total = len(manifest["parts"]), manifest["parts_total"]
        raise ValueError(f"{folder} has {done} of {total} parts; the same onejump-capture command goes on with it")
    return manifest


def _column(path: Path, name: str, samples: int) -> np.ndarray:
    """A part's states, flat."""
    column = pq.read_table(path, columns=[name], memory_map=True).column(0).combine_chunks()
    if len(column) != samples:
        raise ValueError(f"{path} has {len(column)} samples, its manifest says {samples}; onejump-store verify finds out more")
    values = column.flatten().to_numpy()
    # bfloat16: the upper half of the float32 of the same value.
    return (values.astype(np.uint32) << 16).view(np.float32) if values.dtype == np.uint16 else values
