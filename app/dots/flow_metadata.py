"""Adds our reference to the `metadata` of a flow at Dots, and gives the caller's metadata back unchanged."""

import json
from typing import Any

CLIENT_REF_KEY = "dots_gateway_ref"
"""The key of our reference in a flow's metadata. It identifies the flow of a creation that got no answer."""

_TEXT_KEY = "dots_gateway_text"
_JSON_KEY = "dots_gateway_json"
_OUR_KEYS = frozenset({CLIENT_REF_KEY, _TEXT_KEY, _JSON_KEY})


def wrap(metadata: dict[str, Any] | str | None, client_ref: str) -> dict[str, Any]:
    """Return the object to send: the caller's keys and ours.

    Some metadata would not come back unchanged, so it goes under a key of ours: a text as it is; as JSON text an
    object that is empty or that uses one of our keys itself.
    """
    if metadata is None:
        return {CLIENT_REF_KEY: client_ref}
    if isinstance(metadata, str):
        return {CLIENT_REF_KEY: client_ref, _TEXT_KEY: metadata}
    if not metadata or not _OUR_KEYS.isdisjoint(metadata):
        return {CLIENT_REF_KEY: client_ref, _JSON_KEY: json.dumps(metadata)}
    return {**metadata, CLIENT_REF_KEY: client_ref}


def unwrap(metadata: object) -> tuple[dict[str, Any] | str | None, str | None]:
    """Return the caller's metadata and our reference. For a flow created elsewhere: its metadata, and None."""
    if isinstance(metadata, str):
        return metadata, None
    if not isinstance(metadata, dict):
        return None, None
    client_ref = metadata.get(CLIENT_REF_KEY)
    if not isinstance(client_ref, str):
        return metadata, None
    rest = {key: value for key, value in metadata.items() if key != CLIENT_REF_KEY}
    return _unpack(rest), client_ref


def _unpack(rest: dict[str, Any]) -> dict[str, Any] | str | None:
    """Return the caller's metadata from the keys beside our reference."""
    if not rest:
        return None
    if rest.keys() == {_TEXT_KEY} and isinstance(rest[_TEXT_KEY], str):
        return str(rest[_TEXT_KEY])
    if rest.keys() == {_JSON_KEY} and isinstance(rest[_JSON_KEY], str):
        packed = _parse_object(rest[_JSON_KEY])
        return rest if packed is None else packed
    return rest


def _parse_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # Not written by `wrap`, so it stays as it is.
        return None
    return value if isinstance(value, dict) else None
