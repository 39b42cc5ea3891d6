"""The webhook bodies in Dots' documentation, with invented values that a caller can replace.

Source: https://docs.dots.dev (docs repository at 31a5720 and two earlier states), collected in
`published_webhooks.json` beside this file.
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
    """One published body. `subject` is the flow or user it is about; None: neither."""

    published_as: str
    body: Mapping[str, Any]
    subject: str | None


def published_webhooks() -> list[PublishedWebhook]:
    """All published bodies. Two can have the same name: `user.updated.user_merged` exists with and without `event`."""
    return [PublishedWebhook(**each) for each in json.loads(_FILE.read_text(encoding="utf-8"))]


def body(published_as: str, values: Mapping[str, Any], *, variant: int = 0) -> bytes:
    """A published body as JSON. `variant` is its index among those of its name; `values` replace values by key.

    Raises:
        RefusalError: there is no such body, or it has no such key.
    """
    named = [each for each in published_webhooks() if each.published_as == published_as]
    if not 0 <= variant < len(named):
        raise not_found("No such published webhook")
    replaced: set[str] = set()
    content = _replace(named[variant].body, values, replaced)
    if missing := sorted(values.keys() - replaced):
        raise invalid_input(f"values: the body has no {', '.join(missing)}")
    return json.dumps(content).encode()


def _replace(value: Any, values: Mapping[str, Any], replaced: set[str]) -> Any:
    """A copy with the new values at any depth. Adds the keys it found to `replaced`."""
    if isinstance(value, Mapping):
        replaced |= values.keys() & value.keys()
        return {
            key: values[key] if key in values else _replace(inner, values, replaced) for key, inner in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_replace(inner, values, replaced) for inner in value]
    return value
