#!/usr/bin/env python3
"""Trains a tuned lens (Belrose et al. 2023) on the stored hidden states of a run, to stand beside ours.

    python data/tuned_lens.py --hidden RUN/hidden/train --model MODEL --out LENS_DIR [--levels 0-9]
                              [--rank R] [--start RUN/shortcuts/jtc.safetensors]
    python data/peers.py tuned-lens LENS_DIR --like RUN/shortcuts/jtc.safetensors --out RUN/shortcuts/tuned-lens.safetensors

What the package `tuned-lens` 0.2.0 does in its `train_loop.py`, on samples that are already there: a translator
h + h·weightᵀ + bias per exit level, 0 at first; the mean KL divergence from the model's own distribution, over
all tokens, logits in bfloat16; its optimisers with their settings and its linear schedule.  Three things differ:

- A step has --batch samples, not 2^18 tokens: a folder has one token of each sentence.  So the defaults are more
  and smaller steps than the package's 250, at twice its rate.  Level 12 of SmolLM2-135M, KL on held-out samples
  after 64,000 samples: 500 steps of 128 with SGD 2.47, with Adam 2.53; 1,000 steps of 64 with Adam 2.42, with SGD
  at 2, 4 and 8 times the rate 2.23, 2.22 and 2.23.
- Each translator's gradient is clipped by itself, so that levels can be trained apart: --levels adds to what
  LENS_DIR has.
- Samples are held out, and the divergence on them is printed as training goes on.

--rank R gives each level's translator the rank R, h + (h·A)·B + bias: a low-rank residual map per level, trained by
Adam.  --start begins at the full matrices of a file of shortcuts, or their best approximation of rank R, instead of 0.
jtc's are 580 times as large as the identity at level 0 of SmolLM2-135M, 13 times at level 2, 1.2 times at level 29, so SGD's
rate is relative to that: in 200 steps of 256 one rate for all levels took the KL from 3.41 to 2.31 at level 2, but from 0.36
to 0.74 at level 28; the relative one takes it to 2.32 and 0.25.

--optimiser axes is the better descent from such a beginning: Adam in the principal axes of the states and of the gradients, as in
SOAP (Vyas et al. 2025, arXiv:2409.11321), but the axes stay those at which it begins. 1,000 steps of 256 from jtc's matrices on
took the KL at levels 2, 14 and 26 to 2.12, 1.34 and 0.43; SGD took it to 2.18, 1.40 and 0.47.

MODEL is a Hugging Face directory or a .gguf file.  LENS_DIR gets config.json and params.pt as the package
writes them.  Needs torch, transformers, safetensors and pyarrow, and gguf for a .gguf file.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

# The package's defaults. PyTorch's momentum multiplies the step by 1/(1 - 0.9), so that SGD's rate is 1. `size` is how many
# times as large as the identity the matrix is that SGD begins at, since the clipped gradient has the same length for all of them.
OPTIMISERS = {
    "sgd": lambda p, scale, size: torch.optim.SGD(
        p, lr=0.1 * scale * size, momentum=0.9, nesterov=True, weight_decay=1e-3 / size),
    "adam": lambda p, scale, _: torch.optim.Adam(p, lr=1e-3 * scale, amsgrad=True, weight_decay=1e-3),
}
GRADIENT_NORM = 1.0
AXES_ROWS = 1024  # samples from whose gradients the principal axes are computed
ROWS = 8  # samples whose probabilities are worked on at a time: on a CPU they stay in its cache, and a step takes a third less
WARM_UP = {"sgd": 0.0, "adam": 0.2, "axes": 0.05}  # as a share of the steps


def states(folder, k):
    """The states of a level, (N, H)."""
    parts = [str(path) for path in sorted(folder.glob("part-*.parquet"))]
    column = pq.ParquetDataset(parts).read(columns=[f"level_{k:02}"]).column(0).combine_chunks()
    values = column.flatten().to_numpy()
    if values.dtype == np.uint16:  # The upper halves of float32: --store-dtype bf16.
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return torch.tensor(values.reshape(len(column), -1)).float()


class Head:
    """The final norm and the unembedding of a model."""

    def __init__(self, model, device):
        more = {"gguf_file": model.name} if model.suffix == ".gguf" else {}
        where = model.parent if more else model
        loaded = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **more).requires_grad_(False).to(device)
        children = dict(loaded.get_decoder().named_children())
        self.norm = children["norm"] if "norm" in children else children["ln_f"]
        self.unembedding = loaded.get_output_embeddings().weight.data  # (V, H)
        self.half = self.unembedding.bfloat16()
        self.cap = getattr(loaded.config.get_text_config(), "final_logit_softcapping", None)

    def truth(self, final):
        """ln of the model's own distributions, (n, V)."""
        return self.capped(self.norm(final) @ self.unembedding.T).log_softmax(-1)

    def capped(self, logits):
        """Behind the model's soft-cap, where it has one."""
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)

    def gradient(self, x, truth):
        """∂(mean KL)/∂x for normed states x (n, H) and the true distributions (n, V)."""
        logits = self.capped(x.bfloat16() @ self.half.T)
        for part, true in zip(logits.split(ROWS), truth.split(ROWS)):
            difference = part.softmax(-1, dtype=torch.float32).sub_(true)
            if self.cap is not None:
                difference *= 1 - (part.float() / self.cap).square()
            part.copy_(difference)
        return (logits @ self.half).float() / len(x)

    def divergence(self, x, truth):
        """The mean KL divergence."""
        ln_q = self.capped(x.bfloat16() @ self.half.T).log_softmax(-1, dtype=torch.float32)
        return (truth.exp() * (truth - ln_q)).sum(-1).mean().item()


def beginning(path, tensors, k, hidden):
    """The matrix, with the state itself in it, and the bias of a level in a file of shortcuts; none without a file."""
    if path is None:
        return None
    if f"level.{k}.w" not in tensors:
        sys.exit(f"{path}: has no full matrix for level {k}, as a jtc or a tuned lens has; it has {', '.join(sorted(tensors)[:4])}, …")
    matrix = tensors[f"level.{k}.w"]
    if matrix.shape != (hidden, hidden):
        sys.exit(f"{path}: its matrix for level {k} has {' times '.join(map(str, matrix.shape))} numbers; the states have {hidden}: take a file of the same model")
    return matrix, tensors.get(f"level.{k}.bias", torch.zeros(len(matrix)))


def schedule(optimiser, args):
    """The rate goes up to its full height and down to 0, both linearly."""
    warm = int(WARM_UP[args.optimiser] * args.steps)
    rate = lambda step: (step + 1) / warm if step < warm else (args.steps - step) / (args.steps - warm)  # noqa: E731
    return torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def reduced(matrix, h, rank):
    """The A·B of this rank for which h·A·B is closest to h·matrix, both factors of one size: reduced-rank regression."""
    mapped = h.double() @ matrix.double()
    directions = torch.linalg.eigh(mapped.T @ mapped)[1][:, -rank:]  # (H, r), orthonormal
    a = matrix.double() @ directions
    size = (a.norm() / directions.norm()).sqrt()
    return (a / size).float(), (directions.T * size).float()


class Translator:
    """A level's states and what is trained on them."""

    longest_gradient = GRADIENT_NORM

    def __init__(self, h, args, start=None):
        hidden = h.shape[1]
        self.h, last = h.to(args.device), torch.nn.Linear(args.rank or hidden, hidden)
        for parameter in last.parameters():
            parameter.data.zero_()
        self.layer = torch.nn.Sequential(torch.nn.Linear(hidden, args.rank, bias=False), last) if args.rank else last
        if start is not None:  # Rows times a matrix, the state itself in it.
            matrix, bias = start[0] - torch.eye(hidden), start[1]
            if args.rank:
                a, b = reduced(matrix, h, args.rank)
                self.layer[0].weight.data, matrix = a.T.contiguous(), b
            last.weight.data, last.bias.data = matrix.T.contiguous(), bias.clone()
        self.layer.to(args.device)
        size = 1.0 if start is None else start[0].norm().item() / hidden**0.5
        self.parameters = list(self.layer.parameters())
        self.optimiser = OPTIMISERS[args.optimiser](self.parameters, args.scale, size)
        self.schedule = schedule(self.optimiser, args)
        self.curve = []

    def tensors(self):
        """The translator as the package has it, one matrix whatever its rank."""
        last = self.layer[-1] if isinstance(self.layer, torch.nn.Sequential) else self.layer
        weight = last.weight @ self.layer[0].weight if last is not self.layer else last.weight
        return {"weight": weight.detach().cpu().contiguous(), "bias": last.bias.detach().cpu()}

    def normed(self, rows, head):
        return head.norm(self.h[rows] + self.layer(self.h[rows]))

    def step(self, rows, truth, head):
        self.optimiser.zero_grad()
        x = self.normed(rows, head)
        with torch.no_grad():
            gradient = head.gradient(x, truth)
        x.backward(gradient)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.longest_gradient)
        self.optimiser.step()
        self.schedule.step()


class InAxes(Translator):
    """A full matrix that holds the state itself, in the principal axes of the states and of the gradients where it begins."""

    longest_gradient = float("inf")

    def __init__(self, h, final, count, head, args, start):
        h, matrix, bias = (tensor.to(args.device) for tensor in (h, *start))
        self.mean = h[:count].mean(0)
        variances, self.of_states = torch.linalg.eigh(torch.cov((h[:count] - self.mean).T))
        self.x = (h - self.mean) @ self.of_states
        rows = torch.randperm(count, generator=torch.Generator().manual_seed(args.seed))[:AXES_ROWS]
        x = (h[rows] @ matrix + bias).requires_grad_(True)
        normed = head.norm(x)
        with torch.no_grad():
            gradient = head.gradient(normed, head.truth(final[rows]).exp_())
        (gradient,) = torch.autograd.grad(normed, x, gradient)
        self.of_gradients = torch.linalg.eigh(gradient.T @ gradient)[1]
        self.matrix = torch.nn.Parameter(self.of_states.T @ matrix @ self.of_gradients)
        self.bias = torch.nn.Parameter((bias + self.mean @ matrix) @ self.of_gradients)
        self.parameters = [self.matrix, self.bias]
        # Rates relative to a typical weight, and to what such a weight adds to the output.
        rates = (matrix.square().mean().sqrt(), (matrix.square().mean() * variances.mean()).sqrt())
        groups = [{"params": [p], "lr": 0.01 * args.scale * rate.item()} for p, rate in zip(self.parameters, rates)]
        self.optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))
        self.schedule = schedule(self.optimiser, args)
        self.curve = []

    def tensors(self):
        """As a translator of the package: without the state itself."""
        matrix = self.of_states @ self.matrix.detach() @ self.of_gradients.T
        bias = self.bias.detach() @ self.of_gradients.T - self.mean @ matrix
        return {"weight": (matrix.cpu() - torch.eye(len(bias))).T.contiguous(), "bias": bias.cpu()}

    def normed(self, rows, head):
        return head.norm((self.x[rows] @ self.matrix + self.bias) @ self.of_gradients.T)


def save(folder, translators, config):
    """Adds these levels to the folder's lens."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "params.pt"
    tensors = torch.load(path, weights_only=True) if path.is_file() else {}
    for k, translator in translators.items():
        tensors |= {f"{k}.{name}": value for name, value in translator.tensors().items()}
    torch.save(tensors, path)
    (folder / "config.json").write_text(json.dumps(config, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", required=True, type=Path)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--levels", help="such as 0-9 or 0,5,10 [default: all exit levels]")
    parser.add_argument("--rank", type=int, default=0, help="of every translator [default: full]")
    parser.add_argument("--start", type=Path, help="a file of shortcuts with a full matrix per level")
    parser.add_argument("--optimiser", choices=WARM_UP, help="[default: sgd; adam with --rank]")
    parser.add_argument("--scale", type=float, default=2.0, help="times the optimiser's own rate")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--held-out", type=int, default=500, help="samples, the last of the folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where PyTorch computes, such as cuda")
    args = parser.parse_args()
    try:
        torch.empty(0, device=args.device)
    except (RuntimeError, AssertionError) as error:
        parser.error(f"--device {args.device}: PyTorch cannot compute there: {str(error).splitlines()[0]}")
    args.optimiser = args.optimiser or ("adam" if args.rank else "sgd")
    torch.manual_seed(args.seed)
    schema = pq.read_schema(next(args.hidden.glob("part-*.parquet")))
    blocks = sum(name.startswith("level_") for name in schema.names) - 1
    try:
        ends = [[int(end) for end in part.split("-")] for part in (args.levels or f"0-{blocks - 1}").split(",")]
        levels = [k for part in ends for k in range(part[0], part[-1] + 1)]
    except ValueError:
        levels = []
    if not levels or max(levels) >= blocks:
        parser.error(f"--levels {args.levels}: give exit levels from 0 to {blocks - 1}, such as 0-9 or 0,5,10")
    if args.optimiser == "axes" and (args.rank or not args.start):
        parser.error("--optimiser axes: it trains full matrices, beginning at --start; leave out --rank")
    head, final = Head(args.model, args.device), states(args.hidden, blocks).to(args.device)
    if not 0 <= args.rank <= final.shape[1]:
        parser.error(f"--rank {args.rank}: give 1 to H = {final.shape[1]}")
    config = {"base_model_name_or_path": str(args.model), "d_model": final.shape[1], "num_hidden_layers": blocks, "bias": True}
    config |= {"rank": args.rank} if args.rank else {}
    there = args.out / "config.json"
    if there.is_file() and (found := json.loads(there.read_text())).get("rank") != config.get("rank"):
        parser.error(f"{args.out} has a lens of rank {found.get('rank', 'H')}; --levels adds levels of one rank alone")
    try:
        start = load_file(args.start) if args.start else {}
    except (OSError, SafetensorError) as error:
        parser.error(f"--start {args.start}: {error}; give a file of shortcuts, such as jtc.safetensors")
    count = len(final) - args.held_out

    def translator(k):
        begun = beginning(args.start, start, k, final.shape[1])
        if args.optimiser == "axes":
            return InAxes(states(args.hidden, k), final, count, head, args, begun)
        return Translator(states(args.hidden, k), args, begun)

    translators = {k: translator(k) for k in levels}
    held_out = torch.arange(count, len(final))
    truth_held_out = head.truth(final[held_out])
    random = torch.Generator().manual_seed(args.seed)

    def measure(step):
        with torch.no_grad():
            for translator in translators.values():
                translator.curve.append(head.divergence(translator.normed(held_out, head), truth_held_out))
        print(f"step {step:4}: " + " ".join(f"{t.curve[-1]:.3f}" for t in translators.values()), flush=True)

    print(f"KL on {args.held_out} held-out samples, levels {', '.join(map(str, levels))}")
    order = torch.empty(0, dtype=torch.long)
    for step in range(args.steps):
        if step % max(args.steps // 10, 1) == 0:
            measure(step)
        if len(order) < args.batch:
            order = torch.cat([order, torch.randperm(count, generator=random)])
        rows, order = order[: args.batch], order[args.batch :]
        truth = head.truth(final[rows]).exp_()
        for translator in translators.values():
            translator.step(rows, truth, head)
    measure(args.steps)
    save(args.out, translators, config)
    print(args.out)


if __name__ == "__main__":
    main()
