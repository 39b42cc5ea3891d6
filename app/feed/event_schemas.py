"""The JSON Schemas of what events carry: the files in `schemas/`, which ship with the service.

`docs/events` has the same files for people who read the repository.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

PREFIX = "urn:dots-gateway:schemas/"


@cache
def published() -> Mapping[str, Mapping[str, Any]]:
    """Every schema by its name as in `dataschema`, such as `flow.completed/v1.json`, in order of name."""
    folders = sorted((resources.files("app.feed") / "published").iterdir(), key=lambda folder: folder.name)
    return {
        f"{folder.name}/{file.name}": json.loads(file.read_text(encoding="utf-8"))
        for folder in folders
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
    }


def of_type(event_type: str) -> tuple[str, Mapping[str, Any]]:
    """The name and the schema that events of this type name as their `dataschema`. Raises KeyError."""
    name = f"{event_type.removeprefix('dots.')}/v1.json"
    return name, published()[name]
