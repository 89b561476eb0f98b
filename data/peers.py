#!/usr/bin/env python3
"""Turns the files of three peers into shortcuts that onejump-evaluate takes beside ours, and ours into a tuned lens.

    python data/peers.py tuned-lens    LENS_DIR     --like RUN/shortcuts/jtc.safetensors --out RUN/shortcuts/tuned-lens.safetensors
    python data/peers.py jacobian-lens LENS.pt      --like RUN/shortcuts/jtc.safetensors --out RUN/shortcuts/jacobian-lens.safetensors
    python data/peers.py jtc           LINREG_DIR   --like RUN/shortcuts/jtc.safetensors --out RUN/shortcuts/jtc-din.safetensors
    python data/peers.py to-tuned-lens FILE.safetensors --base-model OWNER/NAME --out LENS_DIR

tuned-lens: a folder of the package `tuned-lens` (Belrose et al. 2023): config.json and params.pt, with
`0.weight`, `0.bias`, ...  A translator is h + h·weightᵀ + bias, in a file of ours h·w + bias.
jacobian-lens: a file of the package `jlens` (Gurnee et al. 2026) or of TransformerLens, such as those of
`neuronpedia/jacobian-lens`: `J` with a matrix for each of `source_layers`, `n_prompts`, `d_model`.  J[l] is the mean
derivative of the last block's output by that of block l, counted from 0: level l + 1 of ours.  Theirs is J·h for a column
h, in a file of ours h·Jᵀ for a row; the final norm comes after it in both.  It has no matrix for level 0, the embeddings:
the state itself is read there, and --missing identity does the same at other levels that a lens was not fitted at.
jtc: a folder of matrices of Din et al.'s code (2023): `0_30.pickle`, ..., a tensor each, from level k to the
last.  Theirs is W·h for a column h, in a file of ours h·w for a row.
to-tuned-lens: any file of shortcuts as such a folder, one map for all levels as the same translator at each.  A BatchNorm
and A·B become one matrix and a bias.

`--like` is any file of shortcuts of the same run: it names the model and the states that the evaluation
checks.  Nothing in the peers' files is executed: params.pt and a Jacobian lens are read as weights only, a pickle only if
it is a tensor.  Needs torch and safetensors.
"""

import argparse
import io
import json
import pickle
import sys
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

FROM_RUN = ("model", "model_sha256", "hidden_sha256", "hidden_size", "blocks", "samples", "target", "norm_eps")

# A lens is trained by gradient descent, Din et al.'s matrices are least squares, and Jacobians are means: no descent.
SOLVERS = {"tuned-lens": "adam", "jtc": "closed-form", "jacobian-lens": "closed-form"}


class TensorUnpickler(pickle.Unpickler):
    """Refuses everything but a tensor."""

    def find_class(self, module, name):
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return lambda data: torch.load(io.BytesIO(data), weights_only=True)
        if (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict")):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no part of a tensor")


def load(path, read):
    """What `read` makes of a file of tensors."""
    try:
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
            return read(file)
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}")
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        # torch goes on with advice on how to trust the file.
        sys.exit(f"{path}: not read, as it is no file of tensors alone: {str(error).split('. ')[0]}")


def weights(file):
    return torch.load(file, map_location="cpu", weights_only=True)


def tuned_lens(folder, blocks, hidden, _missing):
    config = json.loads((folder / "config.json").read_text())
    found = (config["num_hidden_layers"], config["d_model"])
    if found != (blocks, hidden):
        sys.exit(f"{folder}: for {found[0]} blocks and H = {found[1]}; --like is for {blocks} and {hidden}")
    state = load(folder / "params.pt", weights)
    tensors, card = {}, {"rank": str(config["rank"])} if "rank" in config else {}
    for k in range(blocks):
        tensors[f"level.{k}.w"] = torch.eye(hidden) + state[f"{k}.weight"].float().T
        tensors[f"level.{k}.bias"] = state.get(f"{k}.bias", torch.zeros(hidden)).float()
    return tensors, card


def jacobian_lens(path, blocks, hidden, missing):
    lens = load(path, weights)
    keys = sorted(map(str, lens)) if isinstance(lens, dict) else [type(lens).__name__]
    unknown = set(keys) - {"J", "source_layers", "n_prompts", "d_model", "metadata"}
    matrices = {} if unknown or not {"J", "source_layers", "d_model"} <= set(keys) else lens["J"]
    by_layer = isinstance(matrices, dict) and all(type(layer) is int and torch.is_tensor(matrix) for layer, matrix in matrices.items())
    if not by_layer or not matrices:
        sys.exit(f"{path}: no Jacobian lens, which has J by layer, source_layers, n_prompts, d_model; it has {', '.join(keys)}")
    if sorted(matrices) != sorted(lens["source_layers"]):
        sys.exit(f"{path}: J has the layers {sorted(matrices)}, and source_layers says {lens['source_layers']}")
    if lens["d_model"] != hidden or not all(0 <= layer < blocks for layer in matrices):
        sys.exit(f"{path}: for H = {lens['d_model']} and layers up to {max(matrices)}; --like is for {blocks} blocks and H = {hidden}")
    tensors = {}
    for layer, matrix in matrices.items():
        if tuple(matrix.shape) != (hidden, hidden) or not matrix.float().isfinite().all():
            sys.exit(f"{path}: J of layer {layer} is of shape {tuple(matrix.shape)} or not finite; expected {hidden} by {hidden}")
        # The last layer's is the final state's own.
        if layer + 1 < blocks:
            tensors[f"level.{layer + 1}.w"] = matrix.float().T
    others = [k for k in range(1, blocks) if f"level.{k}.w" not in tensors]
    if others and missing != "identity":
        sys.exit(f"{path}: has nothing for the levels {', '.join(map(str, others))}; --missing identity reads the states themselves there")
    for k in [0, *others]:
        tensors[f"level.{k}.w"] = torch.eye(hidden)
    print(f"{path}: fitted to {lens.get('n_prompts', 'unknown')} prompts; the state itself at level {', '.join(map(str, [0, *others]))}")
    return tensors, {}


def jtc(folder, blocks, hidden, _missing):
    tensors = {}
    for k in range(blocks):
        path = folder / f"{k}_{blocks}.pickle"
        w = load(path, lambda file: TensorUnpickler(file).load())
        if tuple(w.shape) != (hidden, hidden):
            sys.exit(f"{path}: of shape {tuple(w.shape)}; --like is for H = {hidden}")
        tensors[f"level.{k}.w"] = w.float().T
    return tensors, {}


def read_shortcuts(path):
    """The tensors and the card of a file of ours."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        sys.exit(f"{path}: {error}")


def affine(tensors, eps):
    """The map h·W + bias of a level in float64."""
    t = {name: tensor.double() for name, tensor in tensors.items()}
    if "w" in t:
        return t["w"], t.get("bias", torch.zeros(len(t["w"]), dtype=torch.double))
    if "norm.weight" not in t:
        return t["a"] @ t["b"], torch.zeros(len(t["a"]), dtype=torch.double)
    scale = t["norm.weight"] / torch.sqrt(t["norm.running_var"] + eps)
    shift = t["norm.bias"] - t["norm.running_mean"] * scale
    return scale[:, None] * t["a"] @ t["b"], shift @ t["a"] @ t["b"]


def to_tuned_lens(args):
    tensors, card = read_shortcuts(args.source)
    if "kind" not in card:
        sys.exit(f"{args.source}: no file of shortcuts; onejump-train and onejump-score write a 'kind' into it")
    blocks, hidden = int(card["blocks"]), int(card["hidden_size"])
    shared = {name: tensor for name, tensor in tensors.items() if not name.startswith("level.")}
    state = {}
    for k in range(blocks):
        prefix = f"level.{k}."
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        w, bias = affine(shared | own, float(card["norm_eps"]))
        # A translator is added to the state. The package cannot read one without a bias.
        state[f"{k}.weight"] = (w - torch.eye(hidden)).T.float().contiguous()
        state[f"{k}.bias"] = bias.float()
    config = {
        "base_model_name_or_path": args.base_model or card["model"],
        "d_model": hidden,
        "num_hidden_layers": blocks,
        "bias": True,
        "base_model_revision": None,
        "unembed_hash": None,
        "lens_type": "linear_tuned_lens",
    }
    args.out.mkdir(parents=True, exist_ok=True)
    torch.save(state, args.out / "params.pt")
    (args.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    print(f"{args.out}: {card['kind']} as a tuned lens, {blocks} translators")


def from_peer(args):
    _, card = read_shortcuts(args.like)
    card = {key: value for key, value in card.items() if key in FROM_RUN}
    read = {"tuned-lens": tuned_lens, "jacobian-lens": jacobian_lens, "jtc": jtc}[args.kind]
    tensors, more = read(args.source, int(card["blocks"]), int(card["hidden_size"]), getattr(args, "missing", None))
    card |= more | {"kind": args.kind, "solver": SOLVERS[args.kind], "seed": "0", "ridge": "0", "training_loss": "[]"}
    # What a peer maps to is the final state as it is, whatever --like was trained on.
    card["target"] = "pre-norm"
    if args.label:
        card["label"] = args.label
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, args.out, metadata=card)
    print(f"{args.out}: {args.kind}, {card['blocks']} levels")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in SOLVERS:
        command = kinds.add_parser(kind, help=f"a peer's {kind} as a file of shortcuts")
        command.add_argument("source", type=Path)
        command.add_argument("--like", required=True, type=Path, help="a file of shortcuts of the same run")
        command.add_argument("--out", required=True, type=Path)
        command.add_argument("--label", help="a name for its rows in tables")
        if kind == "jacobian-lens":
            command.add_argument("--missing", choices=["identity"], help="what is read at levels that it was not fitted at")
    command = kinds.add_parser("to-tuned-lens", help="a file of shortcuts as a folder of the package tuned-lens")
    command.add_argument("source", type=Path)
    command.add_argument("--out", required=True, type=Path)
    command.add_argument("--base-model", help="the model, as transformers names it [default: as the file does]")
    args = parser.parse_args()
    to_tuned_lens(args) if args.kind == "to-tuned-lens" else from_peer(args)


if __name__ == "__main__":
    main()
