from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.flows.rules import flow_request
from app.flows.rules.flow_request import FlowRequest


def request(**fields: Any) -> FlowRequest:
    """Build a full request with these changes."""
    whole: dict[str, Any] = {
        "app": "default",
        "steps": ["compliance", {"name": "payout", "payout_fee_party": "user"}],
        "user_id": "5f0c0a1e-7a52-4d0f-9d43-0a4f0c7b8e11",
        "require_auth": True,
        "hide_go_to_dashboard_on_complete": False,
        "metadata": {"a": 1, "b": [True, None]},
        "reference": "payee-17",
    }
    return FlowRequest(**(whole | fields))


def test_fingerprint_is_the_one_stored_before() -> None:
    """Fingerprints are stored, so another formula would refuse repeats of yesterday's requests."""
    assert (
        flow_request.fingerprint(request()).hex() == "fe9d7539be0ee007805a4674f2843cb0be4fd5a324a6f54e672f333df4138cdb"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"app": "eu"},
        {"steps": ["compliance"]},
        {"steps": [{"name": "payout", "payout_fee_party": "user"}, "compliance"]},
        {"steps": ["compliance", {"name": "payout", "payout_fee_party": "platform"}]},
        {"user_id": None},
        {"require_auth": False},
        {"hide_go_to_dashboard_on_complete": True},
        {"metadata": None},
        {"metadata": {"a": "1", "b": [True, None]}},
        {"metadata": {"a": 1, "b": [None, True]}},
        {"reference": None},
        {"reference": "payee-18"},
    ],
    ids=str,
)
def test_fingerprint_tells_requests_apart(change: dict[str, Any]) -> None:
    """A change in any field gives another fingerprint."""
    assert flow_request.fingerprint(request(**change)) != flow_request.fingerprint(request())


def test_fingerprint_does_not_see_the_order_of_keys() -> None:
    """The order of keys in a JSON object does not matter."""
    turned = request(
        steps=["compliance", {"payout_fee_party": "user", "name": "payout"}], metadata={"b": [True, None], "a": 1}
    )

    assert flow_request.fingerprint(turned) == flow_request.fingerprint(request())


TOO_LONG = "values have at most 500 characters"
METADATA: list[tuple[Any, list[tuple[str, str]]]] = [
    (None, []),
    ("", []),
    ("a" * 500, []),
    ("a" * 501, [("metadata", "must have at most 500 characters")]),
    ({}, []),
    ({str(number): 1 for number in range(49)}, []),
    ({str(number): 1 for number in range(50)}, [("metadata", "must have at most 49 keys")]),
    ({"k" * 40: 1}, []),
    ({"k" * 41: 1}, [("metadata." + "k" * 40, "keys have at most 40 characters")]),
    ({"a": "v" * 500}, []),
    ({"a": "v" * 501}, [("metadata.a", TOO_LONG)]),
    ({"a": [1] * 166}, []),  # 498 characters of JSON
    ({"a": [1] * 167}, [("metadata.a", TOO_LONG)]),
    (
        {"dots_gateway_ref": "x"},
        [("metadata.dots_gateway_ref", "keys that begin with dots_gateway_ are the gateway's own")],
    ),
    ({"dots_gateway_": "x"}, [("metadata.dots_gateway_", "keys that begin with dots_gateway_ are the gateway's own")]),
    ({"dots_gatewa": "x"}, []),
    (17, [("metadata", "must be a text or an object")]),
    ([], [("metadata", "must be a text or an object")]),
]


@pytest.mark.parametrize(("metadata", "problems"), METADATA, ids=lambda value: str(value)[:40])
def test_metadata_has_limits(metadata: Any, problems: list[tuple[str, str]]) -> None:
    """Metadata has at most 49 keys of 40 characters with values of 500 characters."""
    found = flow_request.check(request(metadata=metadata))

    assert [(problem.field, problem.message) for problem in found] == problems


STORABLE = [
    ("\x00", False),
    ("a\x00b", False),
    ({"\x00": 1}, False),
    ([{"a": ["\x00"]}], False),
    ("\\u0000", True),  # Six characters, none of them NUL.
    ("\\\x00", False),
    ("\\\\u0000", True),
    ("\ud800", False),
    ({"\udfff": 1}, False),
    ("😀", True),
    (float("nan"), False),
    (float("inf"), False),
    ([1e308], True),
    (10**4000, True),
    (None, True),
]


@pytest.mark.parametrize(("value", "expected"), STORABLE, ids=ascii)
def test_storable_is_what_postgres_keeps(value: Any, *, expected: bool) -> None:
    """NUL, lone surrogates, NaN and infinity are refused before a statement fails on them."""
    assert flow_request.is_storable(value) is expected


def nested(levels: int) -> Any:
    """Return a number inside this many lists and objects."""
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def test_nesting_ends_at_the_limit() -> None:
    """A value may be nested 64 levels deep, itself included."""
    assert flow_request.is_storable(nested(63))
    assert not flow_request.is_storable(nested(64))
    assert not flow_request.is_storable(nested(100_000))


@pytest.mark.parametrize("field", ["steps", "metadata", "reference"])
def test_unstorable_field_is_named(field: str) -> None:
    """Steps, metadata and reference are checked for values that Postgres refuses."""
    (problem,) = flow_request.check(request(**{field: ["\x00"]}))

    assert (problem.field, problem.message) == (field, "is not plain JSON")


def test_a_redirect_to_this_machine_is_for_a_simulator() -> None:
    """The check of the steps gets `allows_localhost`."""
    wanted = request(steps=[{"name": "redirect", "redirect_url": "http://localhost:3000/"}])

    assert flow_request.check(wanted, allows_localhost=True) == []
    assert [problem.field for problem in flow_request.check(wanted)] == ["steps.0.redirect_url"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=40)  # A busy machine must not fail the test.
@given(metadata=json_values, steps=st.lists(json_values, max_size=3), reference=st.none() | st.text(max_size=20))
def test_check_is_total(metadata: Any, steps: Any, reference: str | None) -> None:
    """Any JSON can be checked, and an accepted request has a fingerprint."""
    wanted = request(metadata=metadata, steps=steps, reference=reference)

    problems = flow_request.check(wanted)

    assert all(problem.field and problem.message for problem in problems)
    assert problems or len(flow_request.fingerprint(wanted)) == 32
