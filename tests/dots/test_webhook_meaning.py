import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dots.wire import WebhookHint, read_webhook
from tests.dots.hostile_webhooks import odd_but_signed_bodies

FLOW = "b3293101-35ef-451a-aad4-881da3697c2f"
USER = "5f0c0a1e-7a52-4d0f-9d43-0a4f0c7b8e11"
NEW_USER = "0d9e1f62-63a4-4c58-b3de-6a7e5f0e9b20"
NOTHING = WebhookHint(event=None, kind=None, subject_id=None)


def hint(event: str | None, kind: str | None, subject_id: str | None) -> WebhookHint:
    """A hint in one short line."""
    assert kind in {"flow", "user", None}
    return WebhookHint(event=event, kind=kind, subject_id=subject_id)  # type: ignore[arg-type]  # checked above


WEBHOOKS = [
    # The documented ones.
    ({"event": "flow.updated", "flow_id": FLOW}, hint("flow.updated", "flow", FLOW)),
    ({"event": "user.updated", "user_id": USER}, hint("user.updated", "user", USER)),
    (
        {"event": "user.updated.background_check", "user_id": USER},
        hint("user.updated.background_check", "user", USER),
    ),
    # Dots' typing error is kept as sent.
    ({"event": "user.updated.ide_verified", "user_id": USER}, hint("user.updated.ide_verified", "user", USER)),
    # After a merge the new id counts.
    (
        {"event": "user.updated.user_merged", "user_id": USER, "old_user_id": USER, "new_user_id": NEW_USER},
        hint("user.updated.user_merged", "user", NEW_USER),
    ),
    # A merge without its new id still says to look at the user.
    ({"event": "user.updated.user_merged", "user_id": USER}, hint("user.updated.user_merged", "user", USER)),
    # Both ids: the event decides.
    ({"event": "flow.updated", "flow_id": FLOW, "user_id": USER}, hint("flow.updated", "flow", FLOW)),
    ({"event": "user.updated", "flow_id": FLOW, "user_id": USER}, hint("user.updated", "user", USER)),
    # Without an event the keys decide, the flow before the user.
    ({"flow_id": FLOW}, hint(None, "flow", FLOW)),
    ({"user_id": USER}, hint(None, "user", USER)),
    ({"flow_id": FLOW, "user_id": USER}, hint(None, "flow", FLOW)),
    # A user event that only names a flow: better to look there than nowhere.
    ({"event": "user.updated", "flow_id": FLOW}, hint("user.updated", "flow", FLOW)),
    # A payout link is a flow too.
    ({"event": "payout_link.updated", "flow_id": FLOW}, hint("payout_link.updated", "flow", FLOW)),
    # Unknown events and fields.
    ({"event": "moon.landed", "crew": 3}, hint("moon.landed", None, None)),
    # One spelling of ids: lower case, hyphens.
    ({"flow_id": FLOW.upper()}, hint(None, "flow", FLOW)),
    ({"flow_id": FLOW.replace("-", "")}, hint(None, "flow", FLOW)),
    # Other ids pass as they are, if they are plain.
    ({"flow_id": "flow_Ab-1"}, hint(None, "flow", "flow_Ab-1")),
    ({"flow_id": "f" * 64}, hint(None, "flow", "f" * 64)),
    ({"flow_id": "f" * 65}, NOTHING),
    ({"flow_id": ""}, NOTHING),
    ({"flow_id": f"{FLOW}\n"}, NOTHING),
    ({"flow_id": f"{{{FLOW}}}"}, NOTHING),
    ({"flow_id": "flow/1"}, NOTHING),
    ({"flow_id": "flöw"}, NOTHING),
    ({"flow_id": "\u0661\u0662"}, NOTHING),
    # An unreadable id does not hide a readable one.
    ({"flow_id": None, "user_id": USER}, hint(None, "user", USER)),
    # An event that is no short printable text is none.
    ({"event": "e" * 100}, hint("e" * 100, None, None)),
    ({"event": "e" * 101}, NOTHING),
    ({"event": ""}, NOTHING),
    ({"event": "flow\u0000"}, NOTHING),
    ({"event": "\u202eflow"}, NOTHING),
]


@pytest.mark.parametrize(("content", "expected"), WEBHOOKS)
def test_webhook_gives_its_hint(content: dict[str, object], expected: WebhookHint) -> None:
    """Each row's body says where to look."""
    assert read_webhook(json.dumps(content).encode()) == expected


@pytest.mark.parametrize("body", odd_but_signed_bodies().values(), ids=odd_but_signed_bodies().keys())
def test_odd_body_gives_a_storable_hint(body: bytes) -> None:
    """No body raises, and what comes out is text that a database takes."""
    found = read_webhook(body)

    assert (found.kind is None) == (found.subject_id is None)
    assert all(text is None or text.isprintable() for text in (found.event, found.subject_id))


HIDING = [
    b"9" * 5_000,  # more digits than Python reads
    b"1e400",
    b"-Infinity",
    b'"\\u0000"',
    b'"\\ud800"',
]


@pytest.mark.parametrize("value", HIDING)
def test_odd_value_elsewhere_does_not_hide_the_flow(value: bytes) -> None:
    """What we do not read cannot keep us from looking at the flow."""
    body = b'{"event":"flow.updated","metadata":%s,"flow_id":"%s"}' % (value, FLOW.encode())

    assert read_webhook(body) == hint("flow.updated", "flow", FLOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
known_keys = st.sampled_from(["event", "flow_id", "user_id", "old_user_id", "new_user_id"])


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=500) | st.dictionaries(known_keys, json_values).map(lambda it: json.dumps(it).encode()))
def test_reading_is_total(body: bytes) -> None:
    """Any bytes, and any JSON under the keys we read, give a hint."""
    found = read_webhook(body)

    assert (found.kind is None) == (found.subject_id is None)
