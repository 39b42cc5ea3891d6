import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dots import flow_metadata

SENT_METADATA = [
    (None, {"dots_gateway_ref": "r"}),
    ({"team": "eu"}, {"team": "eu", "dots_gateway_ref": "r"}),
    ("", {"dots_gateway_ref": "r", "dots_gateway_text": ""}),
    ("a text", {"dots_gateway_ref": "r", "dots_gateway_text": "a text"}),
    ({}, {"dots_gateway_ref": "r", "dots_gateway_json": "{}"}),
    ({"dots_gateway_ref": "x"}, {"dots_gateway_ref": "r", "dots_gateway_json": '{"dots_gateway_ref": "x"}'}),
]


@pytest.mark.parametrize(("metadata", "sent"), SENT_METADATA)
def test_metadata_as_sent(metadata: dict[str, Any] | str | None, sent: dict[str, Any]) -> None:
    """The form of each kind of metadata at Dots: flows that exist there are read by it for years."""
    assert flow_metadata.wrap(metadata, "r") == sent


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
keys = st.text(max_size=10) | st.sampled_from(["dots_gateway_ref", "dots_gateway_text", "dots_gateway_json"])


@settings(deadline=None)  # a busy machine is no failure
@given(
    metadata=st.none() | st.text() | st.dictionaries(keys, json_values, max_size=4),
    client_ref=st.text(max_size=40),
)
def test_metadata_comes_back_as_it_was(metadata: dict[str, Any] | str | None, client_ref: str) -> None:
    """Whatever the caller attached, and our reference, survive the way to Dots and back."""
    sent_and_echoed = json.loads(json.dumps(flow_metadata.wrap(metadata, client_ref)))

    assert flow_metadata.unwrap(sent_and_echoed) == (metadata, client_ref)


FOREIGN_METADATA: list[tuple[object, object]] = [
    (None, None),
    ("a text", "a text"),
    ({}, {}),
    ({"team": "eu"}, {"team": "eu"}),
    # Our keys without our reference are not our writing.
    ({"dots_gateway_text": "x"}, {"dots_gateway_text": "x"}),
    ({"dots_gateway_ref": 17}, {"dots_gateway_ref": 17}),
    # What Dots does not document is none.
    (["a"], None),
    (17, None),
]


@pytest.mark.parametrize(("metadata", "expected"), FOREIGN_METADATA)
def test_foreign_metadata_is_untouched(metadata: object, expected: object) -> None:
    """Flows that others made keep their metadata, and have no reference of ours."""
    assert flow_metadata.unwrap(metadata) == (expected, None)


CHANGED_METADATA: list[tuple[dict[str, object], object]] = [
    ({"dots_gateway_json": "{"}, {"dots_gateway_json": "{"}),
    ({"dots_gateway_json": "[]"}, {"dots_gateway_json": "[]"}),
    ({"dots_gateway_json": "[" * 100_000}, {"dots_gateway_json": "[" * 100_000}),
    ({"dots_gateway_text": 17}, {"dots_gateway_text": 17}),
    ({"dots_gateway_text": "x", "team": "eu"}, {"dots_gateway_text": "x", "team": "eu"}),
]


@pytest.mark.parametrize(("rest", "expected"), CHANGED_METADATA)
def test_metadata_changed_by_others_is_kept(rest: dict[str, object], expected: object) -> None:
    """Somebody edited it at Dots: the reference still counts, the rest is given as it is."""
    assert flow_metadata.unwrap({"dots_gateway_ref": "r", **rest}) == (expected, "r")


def test_metadata_given_is_not_changed() -> None:
    """The caller's object is theirs, when wrapping and when unwrapping."""
    theirs = {"team": "eu"}
    echoed = {"team": "eu", "dots_gateway_ref": "r"}

    flow_metadata.wrap(theirs, "r")
    flow_metadata.unwrap(echoed)

    assert (theirs, echoed) == ({"team": "eu"}, {"team": "eu", "dots_gateway_ref": "r"})
