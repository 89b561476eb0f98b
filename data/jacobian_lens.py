#!/usr/bin/env python3
"""Fits a Jacobian lens (Gurnee et al. 2026) to texts, to stand beside our shortcuts.

    python data/jacobian_lens.py --model MODEL --texts data/wikipedia/train.txt --count 100 --out LENS.pt
    python data/peers.py jacobian-lens LENS.pt --like RUN/shortcuts/jtc.safetensors --out RUN/shortcuts/jacobian-lens.safetensors

What `jlens/fitting.py` of its authors does, with its defaults: the lens of a block is the mean derivative of the last
block's output, before the final norm, by that block's output.  For each dimension of the last output the derivatives of
its sum over all positions of a text that count are taken at once, so that a later position's dependence on an earlier one
counts too; their mean is over those positions, then over texts.  Not counted are a text's first --skip-first positions,
where attention's sinks are, and its last, behind which no token comes; a text that has no other is left out.

A text costs a backward pass through all blocks for each of H dimensions, --batch of them together: 20 s for a sentence
of SmolLM2-135M on 2 cores.  The authors fit to 1,000 paragraphs, and find a lens of 100 to be recognisable; the
change of the mean with each text is printed.  The file is what their package writes.  MODEL is a Hugging Face directory or
a .gguf file.  Needs torch and transformers, and gguf for a .gguf file.
"""

import argparse
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

# How often the lens so far is kept: it has gigabytes for a large model.
SECONDS = 30


def of(path):
    """What transformers wants to be told of a directory or a .gguf file."""
    more = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    return {"pretrained_model_name_or_path": path.parent if more else path} | more


class Model:
    """A model whose blocks' outputs are kept as they are computed."""

    def __init__(self, path, dtype=torch.float32, device="cpu"):
        loaded = AutoModelForCausalLM.from_pretrained(**of(path), dtype=dtype).requires_grad_(False).eval().to(device)
        self.decoder, self.hidden = loaded.get_decoder(), loaded.config.get_text_config().hidden_size
        children = dict(self.decoder.named_children())
        self.blocks = children["layers"] if "layers" in children else children["h"]
        self.outputs = []
        for block in self.blocks:
            block.register_forward_hook(lambda _block, _inputs, output: self.outputs.append(output[0] if isinstance(output, tuple) else output))

    def run(self, ids, slopes=True):
        """The outputs of all blocks for token ids (n, T), each (n, T, H), with what derivatives need."""
        self.outputs.clear()
        embedded = self.decoder.get_input_embeddings()(ids).requires_grad_(slopes)
        self.decoder(inputs_embeds=embedded, use_cache=False)
        return list(self.outputs)


def jacobians(model, ids, first, batch):
    """The mean derivatives of the last block's output by each earlier one's, (K − 1, H, H), for a text's ids (T)."""
    *sources, target = model.run(ids.expand(batch, -1))
    counted = torch.arange(first, len(ids) - 1, device=ids.device)
    means = target.new_empty(len(sources), model.hidden, model.hidden)
    for start in range(0, model.hidden, batch):
        dimensions = torch.arange(start, min(start + batch, model.hidden), device=ids.device)
        chosen = torch.zeros_like(target)
        chosen[dimensions[:, None] - start, counted, dimensions[:, None]] = 1.0
        slopes = torch.autograd.grad(target, sources, chosen, retain_graph=True)
        for mean, slope in zip(means, slopes):
            mean[dimensions] = slope[: len(dimensions), counted].mean(1)
    return means


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--texts", required=True, type=Path, help="a text in each line")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--count", type=int, default=1000, help="how many of the texts, from the first on [default: 1000]")
    parser.add_argument("--skip-first", type=int, default=16, help="positions of each text that do not count [default: 16]")
    parser.add_argument("--longest", type=int, default=128, help="tokens of a text that are read [default: 128]")
    parser.add_argument("--batch", type=int, default=32, help="dimensions at a time [default: 32]")
    parser.add_argument("--device", default="cpu", help="where PyTorch computes, such as cuda [default: cpu]")
    args = parser.parse_args()
    try:
        torch.empty(0, device=args.device)
    except (RuntimeError, AssertionError) as error:
        parser.error(f"--device {args.device}: PyTorch cannot compute there: {str(error).splitlines()[0]}")
    for name in ("count", "longest", "batch"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: give 1 or more")
    if args.skip_first < 0:
        parser.error(f"--skip-first {args.skip_first}: give 0 or more")
    try:
        texts = [line for line in args.texts.read_text("utf-8").splitlines() if line.strip()][: args.count]
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"--texts {args.texts}: {error}")
    if not args.model.exists():
        parser.error(f"--model {args.model}: is not there; give a Hugging Face directory or a .gguf file")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    model, tokenizer = Model(args.model, device=args.device), AutoTokenizer.from_pretrained(**of(args.model))
    ids = [torch.tensor(tokenizer(text).input_ids[: args.longest], device=args.device) for text in texts]
    ids = [text for text in ids if len(text) > args.skip_first + 1]
    if not ids:
        parser.error(f"{args.texts}: none of its first {len(texts)} texts has more than {args.skip_first + 1} tokens; see --skip-first")
    print(f"{len(ids)} of {len(texts)} texts have more than {args.skip_first + 1} tokens", flush=True)
    begun, mean, kept = time.monotonic(), 0, 0.0
    for done, text in enumerate(ids, 1):
        step = (jacobians(model, text, args.skip_first, min(args.batch, model.hidden)) - mean) / done
        mean = mean + step
        change = (step.flatten(1).norm(dim=1) / mean.flatten(1).norm(dim=1)).mean()
        spent = time.monotonic() - begun
        print(f"{done}/{len(ids)} texts, {spent / done:.1f} s each, {spent / done * (len(ids) - done):.0f} s left; the mean changed by {change:.1%}", flush=True)
        if spent < kept + SECONDS and done < len(ids):
            continue
        kept = spent
        by_layer = {layer: matrix.cpu().clone() for layer, matrix in enumerate(mean)}
        lens = {"J": by_layer, "source_layers": list(by_layer), "n_prompts": done, "d_model": model.hidden}
        unfinished = args.out.with_suffix(".unfinished")
        torch.save(lens, unfinished)
        unfinished.rename(args.out)
    print(args.out)


if __name__ == "__main__":
    main()
