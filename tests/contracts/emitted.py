"""Checks an event against its published schema. Every test that produces events uses it."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import event_schemas
from app.feed.schemas import EventResponse
from tests.storage import stored


class UnpublishedError(AssertionError):
    """The event does not match its schema; describe it in `app/feed/event_schemas.py`."""


def check(envelope: Mapping[str, Any]) -> None:
    """Raise UnpublishedError for an event that does not match its published schema."""
    problems = _problems(envelope)
    if problems:
        raise UnpublishedError(f"{envelope.get('type')}: {'; '.join(problems)}. {UnpublishedError.__doc__}")


async def check_stored(engine: AsyncEngine) -> None:
    """Check all events in a database, with or without a position in the feed."""
    for row in await stored.rows(engine, "SELECT DISTINCT type, data FROM events"):
        problems = _data_problems(row["type"], row["data"])
        if problems:
            raise UnpublishedError(f"{row['type']}: {'; '.join(problems)}. {UnpublishedError.__doc__}")


def _problems(envelope: Mapping[str, Any]) -> list[str]:
    found = [f"{error.json_path} {error.message}" for error in _envelope_validator().iter_errors(envelope)]
    if found:
        return found
    found = _data_problems(envelope["type"], envelope["data"])
    name = envelope["type"].removeprefix("dots.")
    if not found and envelope["dataschema"] != f"{event_schemas.PREFIX}{name}/v1.json":
        found.append(f"names {envelope['dataschema']} as its schema")
    return found


def _data_problems(event_type: str, data: Mapping[str, Any]) -> list[str]:
    try:
        validator = _data_validator(event_type)
    except KeyError:
        return ["has no schema"]
    return [f"data{error.json_path[1:]} {error.message}" for error in validator.iter_errors(data)]


@cache
def _envelope_validator() -> Draft202012Validator:
    return _strict(EventResponse.model_json_schema())


@cache
def _data_validator(event_type: str) -> Draft202012Validator:
    return _strict(event_schemas.of_type(event_type)[1])


def _strict(schema: Mapping[str, Any]) -> Draft202012Validator:
    """A validator that rejects fields that the schema does not describe."""
    closed = {**schema, "additionalProperties": False}
    return Draft202012Validator(closed, format_checker=Draft202012Validator.FORMAT_CHECKER)
