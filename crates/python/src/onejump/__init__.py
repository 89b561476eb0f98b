"""Onejump's files in Python.

- `load`: a file of shortcuts as a `torch.nn.Module`
- `states`: the hidden states of a level as an array
- `lens`: what a transformers model would answer at each level

What needs more than loading is done by the programs, `onejump-capture` to `onejump-reproduce`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onejump._lens import Lens, lens
    from onejump._shortcuts import Card, Shortcut, Shortcuts, load
    from onejump._states import states

__all__ = ["Card", "Lens", "Shortcut", "Shortcuts", "lens", "load", "states"]

# torch takes seconds to import: a program starts without it, and states are read without it.
_MODULES = {"Lens": "_lens", "lens": "_lens", "states": "_states"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'onejump' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"onejump.{_MODULES.get(name, '_shortcuts')}"), name)
