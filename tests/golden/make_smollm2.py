#!/usr/bin/env python3
"""Golden files for the SmolLM2 tests, made with Hugging Face transformers.

The Rust tests read these files; they need neither Python nor a network.

    token_ids.parquet     split, line (0-based), token_ids: every sentence of the --sentences files
    token_edges.json      text and token_ids of made-up lines where tokenizers go astray
    smollm2.safetensors   for a few dozen of those sentences, the hidden states of one token position
                          at all levels 0..K, and what the model's own head says there

A sentence goes through the model alone, in full (nothing is cut after the sampled position), without
padding, in float32, with the plain ("eager") attention.  Level 0 is the input of block 1, level k the
output of block k, level K the input of the final norm (transformers' own `hidden_states[-1]` comes
after that norm, so the states are taken with hooks instead).

    python make_smollm2.py --model SmolLM2-135M-Instruct.Q4_1.gguf \
        --sentences data/wikipedia/train.txt data/wikipedia/test.txt --out tests/golden

The tokenizer that transformers 5 builds from a GGUF ignores `tokenizer.ggml.pre`.  For `smollm` every
numeric character is a piece of its own *before* the GPT-2 pattern applies.  The vocabulary has no token
that holds a digit and anything else, so the two agree on plain text; they differ where two blanks stand
before a digit, or one blank before a numeric character beyond ASCII ("½", "²", "٣").  This script builds
the right one.
"""

import argparse
import hashlib
import json
import random
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tokenizers
import torch
import transformers
from safetensors.numpy import save_file
from tokenizers import Tokenizer, pre_tokenizers

EDGES = [  # blanks before digits, numeric characters beyond ASCII, contractions, bytes without a token, ...
    "", " ", "a", "  a", "a ", "a  ", "in 2023", "in  2023", "1,234.5  6", "\t7", "x\n\n8", "a\n b", "a \n b",
    "\u00a030", " \u00a030", "a\u00a0\u00a0b", "½ cup", " ½ cup", "10 ² m²³", "١٢٣ ٤", "Ⅷ and ⅧⅨ", "１２３", " ①②",
    "It's, it'S, we'LL, they've 'tis 'd", "don\u2019t", "naïve café — “quoted” … –", "日本語のテキスト", "Привет, мир", "🙂 👩\u200d👩\u200d👧",
    "e\u0301 vs é", "\ufeffBOM", "a\u2028b", "a\u200bb", "<|im_start|>user<|im_end|>", "<|endoftext|>", "< |im_end|>",
    "snake_case CamelCase x==y; //", "....!!!???", "a-b--c", "$5.00%", "\x00\x1f\x7f",
]  # fmt: skip
TOP = 10  # so many of the most likely tokens are kept per sample


def read_sentences(path):
    """One sentence a line; only a line feed ends a line (str.splitlines would split at U+2028 too)."""
    lines = Path(path).read_bytes().decode("utf-8").split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def split_digits(tokenizer):
    """Each numeric character alone, then the GPT-2 pattern: llama.cpp's `smollm`."""
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return tokenizer


def load(path):
    """(model in float32, tokenizer, weight file) from a .gguf file or a Hugging Face directory."""
    path = Path(path)
    kwargs = dict(dtype=torch.float32, attn_implementation="eager")
    if path.suffix == ".gguf":
        from gguf import GGUFReader

        where, weights = path.parent, path
        kwargs["gguf_file"] = path.name
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, gguf_file=path.name).backend_tokenizer
        pre = GGUFReader(path).get_field("tokenizer.ggml.pre").contents()
        if pre == "smollm":
            tokenizer = split_digits(tokenizer)
        elif pre != "gpt-2":
            sys.exit(f"{path}: pre-tokenizer {pre!r}: unknown to this script")
    else:
        where, weights = path, path / "model.safetensors"
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(where, **kwargs).eval()
    assert all(p.dtype == torch.float32 for p in model.parameters())
    return model, tokenizer, weights


def choose(lengths, count, rng):
    """Indices of `count` sentences, spread evenly over the sorted lengths, both ends included.
    Of the sentences with one length, a random one."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], rng.random()))
    return [order[round(j * (len(order) - 1) / (count - 1))] for j in range(count)]


def position_for(nth, length, rng):
    """First token for every sixth sentence, last for another sixth, otherwise any."""
    return {0: 0, 3: length - 1}.get(nth % 6, rng.randrange(length))


@torch.inference_mode()
def states_at(model, ids, position):
    """Hidden states [K+1, H] at `position`, and the logits [V] there."""
    seen = []
    hooks = [
        module.register_forward_pre_hook(
            lambda _, args, kwargs: seen.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True
        )
        for module in [*model.model.layers, model.model.norm]
    ]
    try:
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
    finally:
        for hook in hooks:
            hook.remove()
    assert len(seen) == len(model.model.layers) + 1
    return torch.stack([s[0, position] for s in seen]).numpy(), logits[0, position].numpy()


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--model", required=True, help=".gguf file, or Hugging Face directory")
    args.add_argument("--sentences", required=True, nargs="+", help="text, one sentence a line; the stem names the split")
    args.add_argument("--out", default=Path(__file__).parent, type=Path)
    args.add_argument("--count", default=36, type=int, help="sentences with hidden states (default 36)")
    args.add_argument("--seed", default=0, type=int)
    args = args.parse_args()

    model, tokenizer, weights = load(args.model)
    splits = [Path(path).stem for path in args.sentences]
    rows = []  # split, line, ids
    for split, path in zip(splits, args.sentences):
        sentences = read_sentences(path)
        encoded = tokenizer.encode_batch(sentences, add_special_tokens=False)
        rows += [(split, line, e.ids) for line, e in enumerate(encoded)]
        print(f"{path}: {len(sentences)} sentences, {sum(len(e.ids) for e in encoded)} tokens")

    args.out.mkdir(parents=True, exist_ok=True)
    versions = {
        "model": weights.name,
        "model_sha256": sha256(weights),
        "sentences_sha256": ", ".join(f"{s}: {sha256(p)}" for s, p in zip(splits, args.sentences)),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "seed": str(args.seed),
    }
    table = pa.table(
        {
            "split": pa.array([r[0] for r in rows], pa.string()),
            "line": pa.array([r[1] for r in rows], pa.uint32()),
            "token_ids": pa.array([r[2] for r in rows], pa.list_(pa.int32())),
        }
    ).replace_schema_metadata(versions)
    file = args.out / "token_ids.parquet"
    pq.write_table(table, file, compression="zstd", compression_level=19)
    print(f"{file}: {table.num_rows} sentences, {file.stat().st_size:,} bytes")

    edges = [{"text": text, "token_ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in EDGES]
    lines = ",\n".join(json.dumps(edge) for edge in edges)
    (args.out / "token_edges.json").write_text(f"[\n{lines}\n]\n")

    rng = random.Random(args.seed)
    rows = [r for r in rows if r[2]]
    chosen = [rows[i] for i in choose([len(r[2]) for r in rows], args.count, rng)]
    positions = [position_for(n, len(r[2]), rng) for n, r in enumerate(chosen)]
    hidden, tops, top_logits, lses = [], [], [], []
    for (split, line, ids), position in zip(chosen, positions):
        h, logits = states_at(model, ids, position)
        logits = logits.astype(np.float64)
        best = np.lexsort((np.arange(len(logits)), -logits))[:TOP]  # ties: lower id first
        hidden.append(h)
        tops.append(best)
        top_logits.append(logits[best])
        lses.append(logits.max() + np.log(np.exp(logits - logits.max()).sum()))
        print(f"{split}:{line}: {len(ids)} tokens, position {position}, top {tokenizer.id_to_token(int(best[0]))!r}")
    lengths = np.array([len(r[2]) for r in chosen])
    tensors = {
        "split": np.array([splits.index(r[0]) for r in chosen], np.int32),
        "line": np.array([r[1] for r in chosen], np.int32),
        "token_ids": np.concatenate([r[2] for r in chosen]).astype(np.int32),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        "position": np.array(positions, np.int32),
        "hidden": np.stack(hidden).astype(np.float32),
        "top_tokens": np.stack(tops).astype(np.int32),
        "top_logits": np.stack(top_logits).astype(np.float32),
        "logsumexp": np.array(lses, np.float32),
    }
    notes = versions | {
        "splits": ",".join(splits),
        "content": "sample i: token ids token_ids[offsets[i]:offsets[i+1]]; hidden[i, k] = level k at position[i], "
        "level K before the final norm; top_tokens / top_logits / logsumexp: the true head there",
    }
    file = args.out / "smollm2.safetensors"
    save_file(tensors, file, metadata=notes)
    print(f"{file}: hidden {tensors['hidden'].shape}, {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
