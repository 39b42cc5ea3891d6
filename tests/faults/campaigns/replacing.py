"""Replace what a dotted name stands for, in this process only: how crash points and planted bugs get in.

A dotted name is `module:name` or `module:Class.name`.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

Change = Callable[[Any], Any]
"""Takes what is there and returns what takes its place."""


def changed(target: str, change: Change) -> tuple[Any, str, Any]:
    """The owner of a dotted name, the name, and the value that `change` makes of it. Replaces nothing.

    Raises AttributeError or ImportError when nothing has the name, ValueError when a replacement would not be seen.
    """
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    value = getattr(owner, name)
    if callable(value):
        _refuse_copies(target, owner, value)
    return owner, name, change(value)


def replace(target: str, change: Change) -> None:
    """Put the changed value in place of what the dotted name stands for."""
    owner, name, value = changed(target, change)
    setattr(owner, name, value)


def _refuse_copies(target: str, owner: Any, value: Any) -> None:
    """A module that has imported the function by its name would go on calling the one it knows."""
    for name, module in list(sys.modules.items()):
        if name.startswith("app.") and module is not owner and any(each is value for each in vars(module).values()):
            raise ValueError(f"{name} imports {target} by its name: call it through its module")
