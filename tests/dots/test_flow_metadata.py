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
    """Each kind of metadata has a fixed form at Dots, because flows stay there for years."""
    assert flow_metadata.wrap(metadata, "r") == sent


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
keys = st.text(max_size=10) | st.sampled_from(["dots_gateway_ref", "dots_gateway_text", "dots_gateway_json"])


@settings(deadline=None, max_examples=40)  # A busy machine must not fail the test.
@given(
    metadata=st.none() | st.text() | st.dictionaries(keys, json_values, max_size=4),
    client_ref=st.text(max_size=40),
)
def test_metadata_comes_back_as_it_was(metadata: dict[str, Any] | str | None, client_ref: str) -> None:
    """The caller's metadata and our reference come back from Dots unchanged."""
    sent_and_echoed = json.loads(json.dumps(flow_metadata.wrap(metadata, client_ref)))

    assert flow_metadata.unwrap(sent_and_echoed) == (metadata, client_ref)


FOREIGN_METADATA: list[tuple[object, object]] = [
    (None, None),
    ("a text", "a text"),
    ({}, {}),
    ({"team": "eu"}, {"team": "eu"}),
    # Without our reference, we did not write the other keys either.
    ({"dots_gateway_text": "x"}, {"dots_gateway_text": "x"}),
    ({"dots_gateway_ref": 17}, {"dots_gateway_ref": 17}),
    # Types that Dots does not document count as no metadata.
    (["a"], None),
    (17, None),
]


@pytest.mark.parametrize(("metadata", "expected"), FOREIGN_METADATA)
def test_foreign_metadata_is_untouched(metadata: object, expected: object) -> None:
    """A flow created elsewhere keeps its metadata and has no reference of ours."""
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
    """If the metadata was edited at Dots, the reference still counts and the rest is returned unchanged."""
    assert flow_metadata.unwrap({"dots_gateway_ref": "r", **rest}) == (expected, "r")


def test_metadata_given_is_not_changed() -> None:
    """Neither function changes the object that it gets."""
    theirs = {"team": "eu"}
    echoed = {"team": "eu", "dots_gateway_ref": "r"}

    flow_metadata.wrap(theirs, "r")
    flow_metadata.unwrap(echoed)

    assert (theirs, echoed) == ({"team": "eu"}, {"team": "eu", "dots_gateway_ref": "r"})
