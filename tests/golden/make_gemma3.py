#!/usr/bin/env python3
"""Golden files for the Gemma 3 270M tests: token ids by llama.cpp, states by Hugging Face transformers.

    python make_gemma3.py ids    --model gemma-3-270m-q4_k_m.gguf --sentences data/wikipedia/{train,test}.txt --out tests/golden
    python make_gemma3.py states --model gemma-3-270m-q4_k_m.gguf --out tests/golden

ids (needs xllamacpp 2026.10.11549, which is llama.cpp):
    gemma3_ids.json       edges: text and token_ids of made-up lines where tokenizers go astray; files: the SHA-256 over
                          the token ids of all lines of each file of sentences, a line each, as `2 10 20\\n`
states (needs torch, transformers and gguf; reads gemma3_ids.json):
    gemma3.safetensors    for some edges, the hidden states of the last token at all levels 0..K, and the five largest
                          logits; float32, eager attention, weights dequantised from the same file

The GGUF has no tokenizer.json, and its pieces are SentencePiece's with byte fallback: llama.cpp is the witness.
"""

import argparse
import hashlib
import json
import urllib.request
from pathlib import Path

EDGES = [
    "", " ", "a", "  a", "a ", "Hello  world   three", "    four leading blanks", "tabs\tand\ttabs", "a\n\nb\n",
    "emoji 🙂 and 漢字 and ẞ", "👩\u200d👩\u200d👧 🇪🇺", "<start_of_turn>user\nhi<end_of_turn>", "<bos>a<eos>", "<pad><unk>",
    "b <b>html</b> </p>", "▁ x     y      z", "in  2023 1,234.5", "½ cup ² ٣", "It's, it'S, we'LL", "naïve café — “quoted” …",
    "日本語のテキスト", "Привет, мир", "e\u0301 vs é", "\ufeffBOM", "a\u2028b", "a\u200bb", "\u00a030", "snake_case CamelCase x==y; //",
    "....!!!???", "\x01\x1f\x7f", "𐍈𐍉 ꙮ ﷽", "<unused0><unused98>", "[multimodal]", "<0x41> <0xE2>",
    "a" + "\n" * 40 + "b", "a" + "\t" * 40 + "b", "a" + " " * 40 + "b", "▁▁ ▁", "<start_of_image>x<end_of_image>\n \n\t ",
]  # fmt: skip
STATES = ["Hello  world   three", "emoji 🙂 and 漢字 and ẞ", "b <b>html</b> </p>", "naïve café — “quoted” …", "Привет, мир"]


def lines(path):
    """Only a line feed ends a line."""
    return Path(path).read_bytes().decode("utf-8").removesuffix("\n").split("\n")


def ids(args):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup = str(args.model), 512, 1, False
    server = xllamacpp.Server(params)

    def tokenize(text):
        body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
        request = urllib.request.Request(f"{server.listening_address}/tokenize", body, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))["tokens"]

    files = {}
    for path in args.sentences:
        digest = hashlib.sha256()
        for line in lines(path):
            digest.update((" ".join(map(str, tokenize(line))) + "\n").encode())
        files[Path(path).name] = digest.hexdigest()
    edges = [{"text": text, "token_ids": tokenize(text)} for text in EDGES]
    (args.out / "gemma3_ids.json").write_text(json.dumps({"edges": edges, "files": files}, ensure_ascii=False, indent=1) + "\n")


def states(args):
    import sys

    import torch
    import transformers
    from safetensors.torch import save_file

    sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))
    import parity

    known = {edge["text"]: edge["token_ids"] for edge in json.loads((args.out / "gemma3_ids.json").read_text())["edges"]}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        args.model.parent, gguf_file=args.model.name, dtype=torch.float32, attn_implementation="eager").eval()
    hidden, best = [], []
    for text in STATES:
        state, logits = parity.states(model, known[text], len(known[text]) - 1)
        hidden.append(state)
        best.append(logits.topk(5))
    save_file({
        "hidden": torch.stack(hidden),
        "top_tokens": torch.stack([top.indices for top in best]).int(),
        "top_logits": torch.stack([top.values for top in best]),
    }, args.out / "gemma3.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ids", "states"])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--sentences", nargs="*", default=[])
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    {"ids": ids, "states": states}[args.what](args)


if __name__ == "__main__":
    main()
