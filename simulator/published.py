"""The webhooks that Dots publishes, one body for each shape, with invented values, and ids of one's own put in.

Source: https://docs.dots.dev (docs repository at 31a5720 and two earlier states), gathered in
`published_webhooks.json` beside this file. `subject` says what a receiver has to look at.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.errors import invalid_input, not_found

_FILE = Path(__file__).with_name("published_webhooks.json")


@dataclass(frozen=True, kw_only=True)
class PublishedWebhook:
    """One published body; `subject` None: stored and acknowledged only."""

    published_as: str
    body: Mapping[str, Any]
    subject: str | None


def published_webhooks() -> list[PublishedWebhook]:
    """Every shape. Two may have the same name: `user.updated.user_merged` comes with and without `event`."""
    return [PublishedWebhook(**each) for each in json.loads(_FILE.read_text(encoding="utf-8"))]


def body(published_as: str, values: Mapping[str, Any], *, variant: int = 0) -> bytes:
    """The body of a shape; `variant` counts those of its name, and `values` replace what stands under their keys.

    Raises:
        RefusalError: there is no such shape, or it has no such key.
    """
    named = [
        published_webhook
        for published_webhook in published_webhooks()
        if published_webhook.published_as == published_as
    ]
    if not 0 <= variant < len(named):
        raise not_found("No such shape")
    replaced: set[str] = set()
    content = _replace(named[variant].body, values, replaced)
    if missing := sorted(values.keys() - replaced):
        raise invalid_input(f"values: the shape has no {', '.join(missing)}")
    return json.dumps(content).encode()


def _replace(value: Any, values: Mapping[str, Any], replaced: set[str]) -> Any:
    """A copy in which every key of `values` has its new value, at any depth; notes the keys found."""
    if isinstance(value, Mapping):
        replaced |= values.keys() & value.keys()
        return {
            key: values[key] if key in values else _replace(inner, values, replaced) for key, inner in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_replace(inner, values, replaced) for inner in value]
    return value
