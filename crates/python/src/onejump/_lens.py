"""What a transformers model would answer at each level."""

from collections.abc import Iterable
from contextlib import ExitStack
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from onejump._shortcuts import Shortcut, Shortcuts, load

#: What decoders call their blocks and their final norm.
BLOCKS = ("layers", "h")
FINAL_NORMS = ("norm", "ln_f", "final_layer_norm")


class Lens:
    """Reads the levels of a causal language model of transformers through shortcuts, its final norm and its head.

    Nothing of the model is changed: hooks are there while it runs, and gone afterwards.
    """

    def __init__(self, model: nn.Module, shortcuts: Shortcut | Shortcuts | None):
        self.model = model
        decoder = model.get_decoder()
        self.blocks = _child(decoder, BLOCKS, "blocks")
        self.norm = _child(decoder, FINAL_NORMS, "a final norm")
        self.head = model.get_output_embeddings()
        self.cap = getattr(model.config, "final_logit_softcapping", None)
        self.shortcuts = shortcuts
        if shortcuts is not None:
            found = (len(self.blocks), model.config.hidden_size)
            expected = (shortcuts.card.blocks, shortcuts.card.hidden_size)
            if found != expected:
                raise ValueError(
                    f"the shortcuts are for {expected[0]} blocks and H = {expected[1]}; "
                    f"the model has {found[0]} blocks and H = {found[1]}"
                )

    def __call__(self, *args: Any, levels: Iterable[int] | None = None, **kwargs: Any) -> dict[int, Tensor]:
        """Runs the model once, with its own arguments: the logits (batch, positions, V) of each level, 0 to K.

        Level K is the model's own answer. `levels` names those that are wanted.
        """
        wanted = range(len(self.blocks) + 1) if levels is None else levels
        states = self.states(*args, **kwargs)
        return {level: self.logits(states[level], level) for level in wanted}

    def states(self, *args: Any, **kwargs: Any) -> list[Tensor]:
        """The hidden states (batch, positions, H) of the levels 0 to K."""
        states: list[Tensor] = []

        def entering(_module: nn.Module, inputs: tuple, named: dict) -> None:
            states.append(inputs[0] if inputs else named["hidden_states"])

        def leaving(_module: nn.Module, _inputs: tuple, output: Any) -> None:
            states.append(output[0] if isinstance(output, tuple) else output)

        with ExitStack() as hooks, torch.no_grad():
            handle = self.blocks[0].register_forward_pre_hook(entering, with_kwargs=True)
            hooks.callback(handle.remove)
            for block in self.blocks:
                hooks.callback(block.register_forward_hook(leaving).remove)
            self.model(*args, **kwargs)
        return states

    def logits(self, hidden: Tensor, level: int) -> Tensor:
        """What the head makes of states of a level."""
        with torch.no_grad():
            if self.shortcuts is not None and level < len(self.blocks):
                hidden = self.shortcuts.at(level)(hidden)
            logits = self.head(self.norm(hidden))
            return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


def lens(model: nn.Module, shortcuts: Shortcut | Shortcuts | str | PathLike[str] | None = None) -> Lens:
    """A lens on a model, through a file of shortcuts; without one it is the logit lens.

    A low-rank shortcut computes in its own type, float32; move it to the model's device with `.to(device)`.
    """
    if isinstance(shortcuts, (str, PathLike)):
        shortcuts = load(shortcuts).to(model.device)
    return Lens(model, shortcuts)


def _child(decoder: nn.Module, names: tuple[str, ...], what: str) -> nn.Module:
    children = dict(decoder.named_children())
    for name in names:
        if name in children:
            return children[name]
    raise ValueError(f"{type(decoder).__name__} has no {what} that is known; known names: {', '.join(names)}")
