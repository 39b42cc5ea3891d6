"""The theme in `?styles=<JSON>`: a few CSS variables, each validated.

Dots documents the parameter but not the names in it. These names are an assumption.
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
    """CSS declarations for the page, and a message for the tester if some values were invalid."""

    style: str = ""
    problem: str | None = None


def read(styles: str | None) -> Theme:
    """The theme of a page. Invalid values are ignored and reported: the payee sees the page in any case."""
    if not styles:
        return Theme()
    try:
        wanted = json.loads(styles)
    except (ValueError, RecursionError):
        return Theme(problem="styles: invalid JSON")
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
