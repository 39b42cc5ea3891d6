"""The check of events in tests rejects events that do not match their published schema."""

from typing import Any

import pytest

from app.web import examples
from tests.contracts import emitted
from tests.contracts.emitted import UnpublishedError

EVENT = examples.EVENT


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a type without a schema": ({"type": "dots.flow.expired"}, "has no schema"),
    "an unknown attribute": ({"traceparent": "00-1"}, "traceparent"),
    "another dataschema": ({"dataschema": "urn:dots-gateway:schemas/flow.created/v1.json"}, "as its schema"),
    "data without a field": ({"data": {"flow_id": "f"}}, "is a required property"),
    "data with an unknown field": ({"data": {**EVENT["data"], "name": "Ada"}}, "'name' was unexpected"),  # type: ignore[dict-item]  # the example's data is an object
    "a sequence that is a number": ({"sequence": 3}, "is not of type 'string'"),
    "an invalid id": ({"id": "3"}, "is not a 'uuid'"),
}


@pytest.mark.parametrize(("change", "complaint"), WRONG.values(), ids=WRONG)
def test_unpublished_event_is_an_error(change: dict[str, Any], complaint: str) -> None:
    """The message explains the error and names the file to change."""
    with pytest.raises(UnpublishedError, match=complaint) as reported:
        emitted.check({**EVENT, **change})

    assert "app/feed/event_schemas.py" in str(reported.value)
