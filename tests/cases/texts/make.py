"""The same texts in every format that onejump-capture reads, written by pyarrow and gzip.

Run in this folder: python make.py (pyarrow 16 or newer). The bytes differ between versions; the texts do not.
"""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = [
    "the quick fox",
    "fox",
    "",
    "the fox the quick quick fox the fox",
    "  quick  the ",
    "fox quick fox the the the quick fox fox quick the fox",
]
CHAT = [{"messages": [{"role": "user", "content": "the fox"}]}]

with open("plain.txt", "w", encoding="utf-8") as file:
    file.write("\n".join(TEXTS) + "\n")
lines = "".join(json.dumps({"id": i, "body": text}) + "\n" for i, text in enumerate(TEXTS))
with open("lines.jsonl", "w", encoding="utf-8") as file:
    file.write(lines)
with gzip.GzipFile("lines.jsonl.gz", "wb", mtime=0) as file:
    # Two members, as `cat` makes of two files.
    file.write(lines[:60].encode())
with open("lines.jsonl.gz", "ab") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
    file.write(lines[60:].encode())
with pa.CompressedOutputStream("lines.jsonl.zst", "zstd") as file:
    file.write(lines.encode())
with open("chat.jsonl", "w", encoding="utf-8") as file:
    file.writelines(json.dumps(chat) + "\n" for chat in CHAT)

texts = pa.array([text or None for text in TEXTS], pa.string())
table = pa.table({"id": list(range(len(TEXTS))), "body": texts})
# Data sets of the hub are compressed with Snappy, mostly, in several row groups.
pq.write_table(table, "snappy.parquet", compression="snappy", row_group_size=4)
large = table.set_column(1, "body", texts.cast(pa.large_string()).dictionary_encode())
pq.write_table(large, "gzip.parquet", compression="gzip")
pq.write_table(pa.Table.from_pylist(CHAT), "chat.parquet")
