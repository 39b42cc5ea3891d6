import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dots import webhook_meaning
from app.dots.webhook_meaning import WebhookMeaning
from tests.dots.hostile_webhooks import odd_but_signed_bodies
from tests.dots.webhook_samples import SAMPLES, WebhookSample

FLOW = "b3293101-35ef-451a-aad4-881da3697c2f"
USER = "5f0c0a1e-7a52-4d0f-9d43-0a4f0c7b8e11"
OLD_USER = "1c2b6a53-0f0e-4e65-8d1c-9f0c2f7a4d11"
NEW_USER = "0d9e1f62-63a4-4c58-b3de-6a7e5f0e9b20"
APP = "9f1e2d3c-4b5a-4678-9abc-def012345678"
NOTHING = WebhookMeaning()


def flow(event: str | None, flow_id: str = FLOW) -> WebhookMeaning:
    """A webhook about this flow."""
    return WebhookMeaning(event=event, kind="flow", subject_id=flow_id)


def user(event: str | None, user_id: str = USER) -> WebhookMeaning:
    """A webhook about this user."""
    return WebhookMeaning(event=event, kind="user", subject_id=user_id)


def merge(event: str | None) -> WebhookMeaning:
    """A webhook about the merge of the old user into the new one."""
    return WebhookMeaning(event=event, kind="user", subject_id=NEW_USER, merged_user_id=OLD_USER)


def only(event: str) -> WebhookMeaning:
    """A webhook about neither a flow nor a user."""
    return WebhookMeaning(event=event)


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_published_webhook_names_its_subject(sample: WebhookSample) -> None:
    """Each sample of Dots' documentation is understood, with its `event` and without."""
    expected = WebhookMeaning(
        event=sample.body.get("event"),
        kind=sample.kind,
        subject_id=sample.subject_id,
        merged_user_id=sample.body.get("old_user_id"),
        api_app_id=sample.body.get("api_app_id"),
    )
    without_event = {key: value for key, value in sample.body.items() if key != "event"}

    assert webhook_meaning.read(sample.raw) == expected
    assert webhook_meaning.read(json.dumps(without_event).encode()) == replace(expected, event=None)


WEBHOOKS = [
    # Dots' typing error is kept as sent.
    ({"event": "user.updated.ide_verified", "user_id": USER}, user("user.updated.ide_verified")),
    # A merge without its new id is about the user.
    ({"event": "user.updated.user_merged", "user_id": USER}, user("user.updated.user_merged")),
    # Both ids: the event decides.
    ({"event": "flow.updated", "flow_id": FLOW, "user_id": USER}, flow("flow.updated")),
    ({"event": "user.updated", "flow_id": FLOW, "user_id": USER}, user("user.updated")),
    # Without an event the flow comes before the user.
    ({"flow_id": FLOW}, flow(None)),
    ({"user_id": USER}, user(None)),
    ({"flow_id": FLOW, "user_id": USER}, flow(None)),
    # A user event that names only a flow is about the flow.
    ({"event": "user.updated", "flow_id": FLOW}, flow("user.updated")),
    # A payout link is a flow too.
    ({"event": "payout_link.updated", "flow_id": FLOW}, flow("payout_link.updated")),
    # Unknown events and fields.
    ({"event": "moon.landed", "crew": 3}, only("moon.landed")),
    # A merge is recognised by its keys. The event may be missing or unpublished.
    ({"old_user_id": OLD_USER, "new_user_id": NEW_USER}, merge(None)),
    ({"event": "user.merged", "old_user_id": OLD_USER, "new_user_id": NEW_USER}, merge("user.merged")),
    ({"old_user_id": OLD_USER, "new_user_id": NEW_USER, "user_id": OLD_USER}, merge(None)),
    ({"old_user_id": OLD_USER, "new_user_id": NEW_USER, "flow_id": FLOW}, merge(None)),
    ({"old_user_id": OLD_USER.upper(), "new_user_id": NEW_USER.replace("-", "")}, merge(None)),
    # With an event of another kind, the pair is not a merge.
    ({"event": "flow.updated", "old_user_id": OLD_USER, "new_user_id": NEW_USER}, only("flow.updated")),
    (
        {"event": "flow.updated", "old_user_id": OLD_USER, "new_user_id": NEW_USER, "flow_id": FLOW},
        flow("flow.updated"),
    ),
    ({"event": "transfer.updated", "old_user_id": OLD_USER, "new_user_id": NEW_USER}, only("transfer.updated")),
    # The same user twice, in any spelling, or half a pair is not a merge.
    ({"old_user_id": USER, "new_user_id": USER}, user(None)),
    ({"old_user_id": USER.upper(), "new_user_id": USER}, user(None)),
    ({"new_user_id": NEW_USER}, user(None, NEW_USER)),
    ({"new_user_id": NEW_USER, "old_user_id": None}, user(None, NEW_USER)),
    ({"new_user_id": NEW_USER, "old_user_id": [OLD_USER]}, user(None, NEW_USER)),
    ({"old_user_id": OLD_USER}, NOTHING),
    ({"old_user_id": OLD_USER, "new_user_id": ""}, NOTHING),
    ({"old_user_id": OLD_USER, "user_id": USER}, user(None)),
    # Only keys at the top level count.
    ({"event": "flow.updated", "data": {"flow_id": FLOW}}, only("flow.updated")),
    ({"transfer": {"user_id": USER}, "payees": [{"flow_id": FLOW}]}, NOTHING),
    ({"metadata": {"old_user_id": OLD_USER, "new_user_id": NEW_USER}, "user_id": USER}, user(None)),
    ({"id": FLOW, "claimed_user_id": USER}, NOTHING),
    ({"flow_id": {"id": FLOW}}, NOTHING),
    ({"flow_id": [FLOW], "user_id": USER}, user(None)),
    ({"flow_id": True, "user_id": 7}, NOTHING),
    ({"flowId": FLOW, "USER_ID": USER}, NOTHING),
    # The app's id, in its canonical spelling.
    ({"app_id": APP}, NOTHING),
    ({"api_app_id": APP.upper()}, WebhookMeaning(api_app_id=APP)),
    ({"api_app_id": None, "flow_id": FLOW}, flow(None)),
    ({"api_app_id": {"id": APP}, "flow_id": FLOW}, flow(None)),
    # Canonical ids: lower case, hyphens.
    ({"flow_id": FLOW.upper()}, flow(None)),
    ({"flow_id": FLOW.replace("-", "")}, flow(None)),
    # Other plain ids are kept unchanged.
    ({"flow_id": "flow_Ab-1"}, flow(None, "flow_Ab-1")),
    ({"flow_id": "f" * 64}, flow(None, "f" * 64)),
    ({"flow_id": "f" * 65}, NOTHING),
    ({"flow_id": ""}, NOTHING),
    ({"flow_id": f"{FLOW}\n"}, NOTHING),
    ({"flow_id": f"{{{FLOW}}}"}, NOTHING),
    ({"flow_id": "flow/1"}, NOTHING),
    ({"flow_id": "flöw"}, NOTHING),
    ({"flow_id": "\u0661\u0662"}, NOTHING),
    # An unreadable id does not hide a readable one.
    ({"flow_id": None, "user_id": USER}, user(None)),
    # An event that is not a short printable text is dropped.
    ({"event": "e" * 100}, only("e" * 100)),
    ({"event": "e" * 101}, NOTHING),
    ({"event": ""}, NOTHING),
    ({"event": "flow\u0000"}, NOTHING),
    ({"event": "\u202eflow"}, NOTHING),
]


@pytest.mark.parametrize(("content", "expected"), WEBHOOKS)
def test_webhook_means(content: dict[str, object], expected: WebhookMeaning) -> None:
    """The body names the flow or user to refresh."""
    assert webhook_meaning.read(json.dumps(content).encode()) == expected


@pytest.mark.parametrize("body", odd_but_signed_bodies().values(), ids=odd_but_signed_bodies().keys())
def test_odd_body_has_a_storable_meaning(body: bytes) -> None:
    """No body raises an error, and the result can be stored."""
    found = webhook_meaning.read(body)

    assert (found.kind is None) == (found.subject_id is None)
    assert all(text is None or text.isprintable() for text in (found.event, found.subject_id, found.merged_user_id))


HIDING = [
    b"9" * 5_000,  # More digits than Python reads.
    b"1e400",
    b"-Infinity",
    b'"\\u0000"',
    b'"\\ud800"',
]


@pytest.mark.parametrize("value", HIDING)
def test_odd_value_elsewhere_does_not_hide_the_flow(value: bytes) -> None:
    """An odd value under a key that we do not read does not matter."""
    body = b'{"event":"flow.updated","metadata":%s,"flow_id":"%s"}' % (value, FLOW.encode())

    assert webhook_meaning.read(body) == flow("flow.updated")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
ids = st.sampled_from([FLOW, USER, OLD_USER, NEW_USER, "flow.updated", "user.updated", "x"])
known_keys = st.sampled_from(["event", "flow_id", "user_id", "old_user_id", "new_user_id", "api_app_id"])


@settings(deadline=None)  # A busy machine must not fail the test.
@given(st.binary(max_size=500) | st.dictionaries(known_keys, json_values | ids).map(lambda it: json.dumps(it).encode()))
def test_reading_is_total(body: bytes) -> None:
    """Any body has a meaning, and a merge is always about its new user."""
    found = webhook_meaning.read(body)

    assert (found.kind is None) == (found.subject_id is None)
    assert found.merged_user_id is None or found.kind == "user"
    assert found.merged_user_id is None or found.merged_user_id != found.subject_id
