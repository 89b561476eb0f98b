#!/usr/bin/env python3
"""Turns the files of two peers into shortcuts that onejump-evaluate takes beside ours.

    python data/peers.py tuned-lens LENS_DIR   --like RUN/shortcuts/jtc.safetensors --out RUN/shortcuts/tuned-lens.safetensors
    python data/peers.py jtc        LINREG_DIR --like RUN/shortcuts/jtc.safetensors --out RUN/shortcuts/jtc-din.safetensors

tuned-lens: a folder of the package `tuned-lens` (Belrose et al. 2023): config.json and params.pt, with
`0.weight`, `0.bias`, ...  A translator is h + h·weightᵀ + bias, in a file of ours h·w + bias.
jtc: a folder of matrices of Din et al.'s code (2023): `0_30.pickle`, ..., a tensor each, from level k to the
last.  Theirs is W·h for a column h, in a file of ours h·w for a row.

`--like` is any file of shortcuts of the same run: it names the model and the states that the evaluation
checks.  Nothing in the peers' files is executed: params.pt is read as weights only, a pickle only if it is a
tensor.  Needs torch and safetensors.
"""

import argparse
import io
import json
import pickle
import sys
import warnings
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

FROM_RUN = ("model", "model_sha256", "hidden_sha256", "hidden_size", "blocks", "samples", "target", "norm_eps")


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


def tuned_lens(folder, blocks, hidden):
    config = json.loads((folder / "config.json").read_text())
    found = (config["num_hidden_layers"], config["d_model"])
    if found != (blocks, hidden):
        sys.exit(f"{folder}: for {found[0]} blocks and H = {found[1]}; --like is for {blocks} and {hidden}")
    state = load(folder / "params.pt", lambda file: torch.load(file, map_location="cpu", weights_only=True))
    tensors = {}
    for k in range(blocks):
        tensors[f"level.{k}.w"] = torch.eye(hidden) + state[f"{k}.weight"].float().T
        tensors[f"level.{k}.bias"] = state.get(f"{k}.bias", torch.zeros(hidden)).float()
    return tensors


def jtc(folder, blocks, hidden):
    tensors = {}
    for k in range(blocks):
        path = folder / f"{k}_{blocks}.pickle"
        w = load(path, lambda file: TensorUnpickler(file).load())
        if tuple(w.shape) != (hidden, hidden):
            sys.exit(f"{path}: of shape {tuple(w.shape)}; --like is for H = {hidden}")
        tensors[f"level.{k}.w"] = w.float().T
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["tuned-lens", "jtc"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--like", required=True, type=Path, help="a file of shortcuts of the same run")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--label", help="a name for its rows in tables")
    args = parser.parse_args()
    with safe_open(args.like, "pt") as file:
        card = {key: value for key, value in file.metadata().items() if key in FROM_RUN}
    read = {"tuned-lens": tuned_lens, "jtc": jtc}[args.kind]
    tensors = read(args.folder, int(card["blocks"]), int(card["hidden_size"]))
    # A lens is trained by gradient descent, Din et al.'s matrices are least squares; the loss is not known.
    solver = {"tuned-lens": "adam", "jtc": "closed-form"}[args.kind]
    card |= {"kind": args.kind, "solver": solver, "seed": "0", "ridge": "0", "training_loss": "[]"}
    if args.label:
        card["label"] = args.label
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, args.out, metadata=card)
    print(f"{args.out}: {args.kind}, {card['blocks']} levels")


if __name__ == "__main__":
    main()
