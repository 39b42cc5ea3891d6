"""Replaces the value of a dotted name in this process. Crash points and planted bugs use it.

A dotted name is `module:name` or `module:Class.name`.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

Change = Callable[[Any], Any]
"""Takes what is there and returns what takes its place."""


def changed(target: str, change: Change) -> tuple[Any, str, Any]:
    """The owner of a dotted name, the attribute, and its changed value. Replaces nothing.

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
    """Replace the value of the dotted name by the changed one."""
    owner, name, value = changed(target, change)
    setattr(owner, name, value)


def _refuse_copies(target: str, owner: Any, value: Any) -> None:
    """A module that imported the function by its name would still call the original."""
    for name, module in list(sys.modules.items()):
        if name.startswith("app.") and module is not owner and any(each is value for each in vars(module).values()):
            raise ValueError(f"{name} imports {target} by its name: call it through its module")
