"""The knobs for the overview: one table per group, one row per knob."""

import json
from dataclasses import dataclass

from pydantic import BaseModel

from simulator.knobs import Knobs


@dataclass(frozen=True, kw_only=True)
class KnobRow:
    """One knob: its value as JSON, its description, and whether it differs from its default."""

    name: str
    value: str
    meaning: str
    is_changed: bool


def tables(knobs: Knobs) -> dict[str, list[KnobRow]]:
    """The rows of each group, by the group's name."""
    groups = {"webhooks": knobs.webhooks, "faults": knobs.faults, "unknowns": knobs.unknowns}
    return {name: _rows(group) for name, group in groups.items()}


def _rows(group: BaseModel) -> list[KnobRow]:
    values = group.model_dump(mode="json")
    defaults = type(group)().model_dump(mode="json")
    return [
        KnobRow(
            name=name,
            value=json.dumps(values[name]),
            meaning=field.description or "",
            is_changed=values[name] != defaults[name],
        )
        for name, field in type(group).model_fields.items()
    ]
