#!/usr/bin/env python3
"""Numbers out of states that are stored in float16 or bfloat16, with pyarrow, polars, pandas and DuckDB: a line each.

    python stored_types.py F32_DIR F16_DIR BF16_DIR     folders of onejump-capture with the same samples

Parquet has float16, but not bfloat16: its columns are of uint16, the upper half of the float32 of the same value.
`cargo xtask test` runs this on a few sentences: every line must give the float32 states, but for rounding, and so must
the guide's lines for polars.
"""

import os
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq

COLUMN = "level_12"


def floats(values):
    """bfloat16 as float32; other types as they are."""
    return (values.astype(np.uint32) << 16).view(np.float32) if values.dtype == np.uint16 else values


def pyarrow(part):
    return floats(pq.read_table(part, columns=[COLUMN])[COLUMN].combine_chunks().flatten().to_numpy())


def polars(part):
    return floats(pl.read_parquet(part, columns=[COLUMN])[COLUMN].to_numpy()).ravel()


def pandas(part):
    return floats(np.concatenate(pd.read_parquet(part, columns=[COLUMN])[COLUMN].to_numpy()))


# What bfloat16's bits mean: sign, exponent, mantissa. (States below 1e-38 come out as 1e-38.)
BF16 = "list_transform({}, lambda b: (1 - 2 * (b >> 15)::INT) * pow(2.0, ((b >> 7) & 255)::INT - 127) * (1 + (b & 127) / 128))"


def duck(part):
    stored = duckdb.sql(f"SELECT typeof({COLUMN}) FROM '{part}' LIMIT 1").fetchall()[0][0]
    values = BF16.format(COLUMN) if stored.startswith("USMALLINT") else COLUMN
    return np.array([row[0] for row in duckdb.sql(f"SELECT {values} FROM '{part}'").fetchall()]).ravel()


def guide(part):
    """What the guide's lines read, in a run's folder."""
    text = (Path(__file__).resolve().parents[2] / "crates/guide/pages/notebooks.md").read_text(encoding="utf-8")
    lines, names, there = text[text.index("import polars ") :], {}, Path.cwd()
    with tempfile.TemporaryDirectory() as run:
        (Path(run) / "hidden").mkdir()
        (Path(run) / "hidden/test").symlink_to(Path(part).absolute().parent)
        os.chdir(run)
        exec(lines[: lines.index("import pandas ")], names)
        os.chdir(there)
    return names["hidden"].ravel()


def main():
    exact, *others = (f"{folder}/part-00000.parquet" for folder in sys.argv[1:])
    expected = pyarrow(exact)
    for part, rounding in zip(others, (2.0**-11, 2.0**-8), strict=True):
        for read in (pyarrow, polars, pandas, duck, guide):
            found = np.asarray(read(part), dtype=np.float64)
            # Half a step of float16 below its smallest normal number, 6e-5, is 3e-8.
            wrong = np.abs(found - expected) > np.abs(expected) * rounding + 3e-8
            if found.shape != expected.shape or wrong.any():
                sys.exit(f"{part}: {read.__name__} reads other numbers")
            if np.array_equal(found, expected):
                sys.exit(f"{part}: nothing was rounded; these are not states in another type")
    print(f"{len(expected)} values in float16 and bfloat16, read by pyarrow, polars, pandas and DuckDB")


if __name__ == "__main__":
    main()
