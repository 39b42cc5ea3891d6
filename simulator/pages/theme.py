"""The theme that a page takes from `?styles=<JSON>`: a few CSS variables, checked one by one.

Dots documents the parameter; the names in it are ours.
"""

import json
import re
from dataclasses import dataclass

_COLOUR = re.compile(r"#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}|[a-zA-Z]{3,20}")
_LENGTH = re.compile(r"\d{1,3}px")

_VARIABLES = {
    "primaryColor": (_COLOUR, ("--accent", "--accent-dark")),
    "backgroundColor": (_COLOUR, ("--ground",)),
    "cardColor": (_COLOUR, ("--paper",)),
    "textColor": (_COLOUR, ("--ink",)),
    "borderRadius": (_LENGTH, ("--radius",)),
}


@dataclass(frozen=True, kw_only=True)
class Theme:
    """CSS declarations for the page, and what was wrong with what was asked for, in a sentence for the tester."""

    style: str = ""
    problem: str | None = None


def read(styles: str | None) -> Theme:
    """The theme of a page. What cannot be used is left out and said: a payee sees a page all the same."""
    if not styles:
        return Theme()
    try:
        wanted = json.loads(styles)
    except (ValueError, RecursionError):
        return Theme(problem="styles: not JSON")
    if not isinstance(wanted, dict):
        return Theme(problem="styles: not a JSON object")
    declarations: list[str] = []
    refused: list[str] = []
    for name, value in wanted.items():
        allowed, variables = _VARIABLES.get(name, (None, ()))
        if allowed is not None and isinstance(value, str) and allowed.fullmatch(value):
            declarations += [f"{variable}: {value}" for variable in variables]
        else:
            refused.append(name[:40])
    problem = f"styles: cannot use {', '.join(refused)}" if refused else None
    return Theme(style="; ".join(declarations), problem=problem)
