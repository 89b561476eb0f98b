"""Files of shortcuts as modules of PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from onejump._find import find


@dataclass(frozen=True)
class Card:
    """What a file says of itself."""

    kind: str
    """jtc, njtc, n-njtc, joint, joint-norms, ojfa, one-jump, residual; of peers: tuned-lens, jacobian-lens."""
    model: str
    """The model, as it was named when its states were captured."""
    model_sha256: str
    hidden_size: int
    """H."""
    blocks: int
    """K: the exit levels are 0 to K - 1."""
    rank: int | None
    """r; none for a full map."""
    solver: str
    level: int | None
    """Of the one jump: the level that it was trained at."""
    metadata: Mapping[str, str]
    """All of it, as it stands in the file."""


class Shortcut(nn.Module):
    """A map (…, H) -> (…, H) from hidden states to approximations of the final ones, before the model's final norm.

    ĥ = norm(h)·A·B of a low-rank map, h·W + bias of a full one. The norm is folded into A, in float64, as the programs
    of Onejump do. A residual is α·x + ((x·A) ⊙ scale + shift)·B with x = h/‖h‖.
    """

    def __init__(self, card: Card, tensors: Mapping[str, Tensor]):
        super().__init__()
        self.card = card
        self.alpha = nn.Parameter(tensors["alpha"], requires_grad=False) if "alpha" in tensors else None
        if "w" in tensors:
            first, shift, self.second = tensors["w"], tensors.get("bias"), None
        else:
            first, shift = _folded(tensors, float(card.metadata["norm_eps"]))
            self.second = nn.Parameter(tensors["b"], requires_grad=False)
        self.first = nn.Parameter(first, requires_grad=False)
        self.shift = None if shift is None else nn.Parameter(shift, requires_grad=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """ĥ of hidden states, in their type."""
        if hidden.shape[-1] != self.card.hidden_size:
            raise ValueError(f"the shortcut is for H = {self.card.hidden_size}, the states have {hidden.shape[-1]} values")
        read = hidden.to(self.first.dtype)
        if self.alpha is not None:
            read = nn.functional.normalize(read, dim=-1)
        mapped = read @ self.first
        if self.shift is not None:
            mapped = mapped + self.shift
        if self.second is not None:
            mapped = mapped @ self.second
        if self.alpha is not None:
            mapped = mapped + self.alpha * read
        return mapped.to(hidden.dtype)

    def at(self, level: int) -> "Shortcut":
        """The map of an exit level: this one, at every level."""
        _check_level(self.card, level)
        return self


class Shortcuts(nn.ModuleList):
    """One shortcut for each exit level: `shortcuts[level](hidden)`."""

    card: Card

    def __init__(self, card: Card, maps: list[Shortcut]):
        super().__init__(maps)
        self.card = card

    def at(self, level: int) -> Shortcut:
        """The map of an exit level."""
        _check_level(self.card, level)
        return self[level]


def load(path: str | PathLike[str]) -> Shortcut | Shortcuts:
    """Loads a file of shortcuts: one module where one map serves all levels, else one for each.

    `path` is that of the file (`*.safetensors`), of a folder of published ones, or `owner/name[:file][@revision]` on the
    hub: from its cache, else downloaded by huggingface_hub.
    """
    path = find(path)
    try:
        with safe_open(path, "pt") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is no usable safetensors file: {error}") from error
    if "kind" not in metadata or "blocks" not in metadata:
        raise ValueError(f"{path} is no file of shortcuts: onejump-train and onejump-score write a 'kind' into it")
    card = _card(metadata)
    levels = _by_level(tensors)
    if not levels:
        return Shortcut(card, tensors)
    # In joint-norms and residual the levels have a few numbers of their own, and share A and B.
    shared = {name: tensor for name, tensor in tensors.items() if not name.startswith("level.")}
    return Shortcuts(card, [Shortcut(card, shared | levels[level]) for level in range(card.blocks)])


def _card(metadata: Mapping[str, str]) -> Card:
    number = lambda key: int(metadata[key]) if key in metadata else None  # noqa: E731
    return Card(
        kind=metadata["kind"],
        model=metadata["model"],
        model_sha256=metadata["model_sha256"],
        hidden_size=int(metadata["hidden_size"]),
        blocks=int(metadata["blocks"]),
        rank=number("rank"),
        solver=metadata["solver"],
        level=number("level"),
        metadata=dict(metadata),
    )


def _by_level(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The tensors that are of a level, by their names in it."""
    levels: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("level."):
            _, level, rest = name.split(".", 2)
            levels.setdefault(int(level), {})[rest] = tensor
    return levels


def _folded(tensors: Mapping[str, Tensor], eps: float) -> tuple[Tensor, Tensor | None]:
    """The BatchNorm, or a residual's scale and shift, and A as one affine map: M (H, r) and c (r)."""
    a = tensors["a"]
    if "alpha" in tensors:
        return a * tensors["scale"], tensors["shift"]
    if "norm.weight" not in tensors:
        return a, None
    norm = {name: tensors[f"norm.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")}
    scale = norm["weight"] / torch.sqrt(norm["running_var"] + eps)
    shift = norm["bias"] - norm["running_mean"] * scale
    return (scale[:, None] * a.double()).to(a.dtype), (shift @ a.double()).to(a.dtype)


def _check_level(card: Card, level: int) -> None:
    if not 0 <= level < card.blocks:
        raise IndexError(f"there is no exit level {level}; possible are 0 to {card.blocks - 1}")
