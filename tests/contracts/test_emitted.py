"""The check of events in tests accepts published events and rejects all others."""

from typing import Any

import pytest

from app.feed import events
from app.server import asyncapi
from app.subscriptions.rules.subscriptions import TEST_TYPE
from app.web import examples
from tests.contracts import emitted
from tests.contracts.emitted import UnpublishedError

EVENT = examples.EVENT


@pytest.mark.parametrize("event_type", [*events.TYPES, TEST_TYPE])
def test_published_event_passes(event_type: str) -> None:
    """The examples of the AsyncAPI document pass the check."""
    messages = asyncapi.document(version="1")["components"]["messages"]
    (example,) = messages[f"{event_type}.pushed"]["examples"]

    emitted.check(example["payload"])

    assert example["payload"]["type"] == event_type


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a type without a schema": ({"type": "dots.flow.expired"}, "has no schema"),
    "an unknown attribute": ({"traceparent": "00-1"}, "traceparent"),
    "another dataschema": ({"dataschema": "urn:dots-gateway:schemas/flow.created/v1.json"}, "as its schema"),
    "data that lacks something": ({"data": {"flow_id": "f"}}, "is a required property"),
    "data with something more": ({"data": {**EVENT["data"], "name": "Ada"}}, "'name' was unexpected"),  # type: ignore[dict-item]  # the example's data is an object
    "a sequence that is a number": ({"sequence": 3}, "is not of type 'string'"),
    "an id that is none": ({"id": "3"}, "is not a 'uuid'"),
}


@pytest.mark.parametrize(("change", "complaint"), WRONG.values(), ids=WRONG)
def test_unpublished_event_is_told(change: dict[str, Any], complaint: str) -> None:
    """The message says what is wrong and what to do."""
    with pytest.raises(UnpublishedError, match=complaint) as reported:
        emitted.check({**EVENT, **change})

    assert "app/feed/event_schemas.py" in str(reported.value)
