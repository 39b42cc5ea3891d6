import json

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
    """It is about this flow."""
    return WebhookMeaning(event=event, kind="flow", subject_id=flow_id)


def user(event: str | None, user_id: str = USER) -> WebhookMeaning:
    """It is about this user."""
    return WebhookMeaning(event=event, kind="user", subject_id=user_id)


def merge(event: str | None) -> WebhookMeaning:
    """The old user was merged into the new one."""
    return WebhookMeaning(event=event, kind="user", subject_id=NEW_USER, merged_user_id=OLD_USER)


def only(event: str) -> WebhookMeaning:
    """It is about nothing of ours."""
    return WebhookMeaning(event=event)


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_published_webhook_names_its_subject_and_nothing_else(sample: WebhookSample) -> None:
    """Each sample of Dots' own documents, with and without `event`."""
    assert webhook_meaning.read(sample.raw) == WebhookMeaning(
        event=sample.body.get("event"),
        kind=sample.kind,
        subject_id=sample.subject_id,
        merged_user_id=sample.body.get("old_user_id"),
        api_app_id=sample.body.get("api_app_id"),
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_event_is_not_needed_to_know_the_subject(sample: WebhookSample) -> None:
    """Published samples leave it out here and there, so each is understood without it too."""
    without = {key: value for key, value in sample.body.items() if key != "event"}

    found = webhook_meaning.read(json.dumps(without).encode())

    assert (found.kind, found.subject_id) == (sample.kind, sample.subject_id)
    assert found.merged_user_id == sample.body.get("old_user_id")


WEBHOOKS = [
    # Dots' typing error is kept as sent.
    ({"event": "user.updated.ide_verified", "user_id": USER}, user("user.updated.ide_verified")),
    # A merge without its new id still says to look at the user.
    ({"event": "user.updated.user_merged", "user_id": USER}, user("user.updated.user_merged")),
    # Both ids: the event decides.
    ({"event": "flow.updated", "flow_id": FLOW, "user_id": USER}, flow("flow.updated")),
    ({"event": "user.updated", "flow_id": FLOW, "user_id": USER}, user("user.updated")),
    # Without an event the keys decide, the flow before the user.
    ({"flow_id": FLOW}, flow(None)),
    ({"user_id": USER}, user(None)),
    ({"flow_id": FLOW, "user_id": USER}, flow(None)),
    # A user event that only names a flow: better to look there than nowhere.
    ({"event": "user.updated", "flow_id": FLOW}, flow("user.updated")),
    # A payout link is a flow too.
    ({"event": "payout_link.updated", "flow_id": FLOW}, flow("payout_link.updated")),
    # Unknown events and fields.
    ({"event": "moon.landed", "crew": 3}, only("moon.landed")),
    # A merge is told by its keys; the event may be missing, or one that is published nowhere.
    ({"old_user_id": OLD_USER, "new_user_id": NEW_USER}, merge(None)),
    ({"event": "user.merged", "old_user_id": OLD_USER, "new_user_id": NEW_USER}, merge("user.merged")),
    ({"old_user_id": OLD_USER, "new_user_id": NEW_USER, "user_id": OLD_USER}, merge(None)),
    ({"old_user_id": OLD_USER, "new_user_id": NEW_USER, "flow_id": FLOW}, merge(None)),
    ({"old_user_id": OLD_USER.upper(), "new_user_id": NEW_USER.replace("-", "")}, merge(None)),
    # An event of another kind says that the pair is no merge.
    ({"event": "flow.updated", "old_user_id": OLD_USER, "new_user_id": NEW_USER}, only("flow.updated")),
    (
        {"event": "flow.updated", "old_user_id": OLD_USER, "new_user_id": NEW_USER, "flow_id": FLOW},
        flow("flow.updated"),
    ),
    ({"event": "transfer.updated", "old_user_id": OLD_USER, "new_user_id": NEW_USER}, only("transfer.updated")),
    # Nobody is merged into themselves, in whatever spelling, nor by half a pair.
    ({"old_user_id": USER, "new_user_id": USER}, user(None)),
    ({"old_user_id": USER.upper(), "new_user_id": USER}, user(None)),
    ({"new_user_id": NEW_USER}, user(None, NEW_USER)),
    ({"new_user_id": NEW_USER, "old_user_id": None}, user(None, NEW_USER)),
    ({"new_user_id": NEW_USER, "old_user_id": [OLD_USER]}, user(None, NEW_USER)),
    ({"old_user_id": OLD_USER}, NOTHING),
    ({"old_user_id": OLD_USER, "new_user_id": ""}, NOTHING),
    ({"old_user_id": OLD_USER, "user_id": USER}, user(None)),
    # Only the body's own keys count: what is inside of something else is about that.
    ({"event": "flow.updated", "data": {"flow_id": FLOW}}, only("flow.updated")),
    ({"transfer": {"user_id": USER}, "payees": [{"flow_id": FLOW}]}, NOTHING),
    ({"metadata": {"old_user_id": OLD_USER, "new_user_id": NEW_USER}, "user_id": USER}, user(None)),
    ({"id": FLOW, "claimed_user_id": USER}, NOTHING),
    ({"flow_id": {"id": FLOW}}, NOTHING),
    ({"flow_id": [FLOW], "user_id": USER}, user(None)),
    ({"flow_id": True, "user_id": 7}, NOTHING),
    ({"flowId": FLOW, "USER_ID": USER}, NOTHING),
    # The app, in the one spelling of ids.
    ({"app_id": APP}, NOTHING),
    ({"api_app_id": APP.upper()}, WebhookMeaning(api_app_id=APP)),
    ({"api_app_id": None, "flow_id": FLOW}, flow(None)),
    ({"api_app_id": {"id": APP}, "flow_id": FLOW}, flow(None)),
    # One spelling of ids: lower case, hyphens.
    ({"flow_id": FLOW.upper()}, flow(None)),
    ({"flow_id": FLOW.replace("-", "")}, flow(None)),
    # Other ids pass as they are, if they are plain.
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
    # An event that is no short printable text is none.
    ({"event": "e" * 100}, only("e" * 100)),
    ({"event": "e" * 101}, NOTHING),
    ({"event": ""}, NOTHING),
    ({"event": "flow\u0000"}, NOTHING),
    ({"event": "\u202eflow"}, NOTHING),
]


@pytest.mark.parametrize(("content", "expected"), WEBHOOKS)
def test_webhook_means(content: dict[str, object], expected: WebhookMeaning) -> None:
    """Each row's body says where to look."""
    assert webhook_meaning.read(json.dumps(content).encode()) == expected


@pytest.mark.parametrize("body", odd_but_signed_bodies().values(), ids=odd_but_signed_bodies().keys())
def test_odd_body_has_a_storable_meaning(body: bytes) -> None:
    """No body raises, and what comes out is text that a database takes."""
    found = webhook_meaning.read(body)

    assert (found.kind is None) == (found.subject_id is None)
    assert all(text is None or text.isprintable() for text in (found.event, found.subject_id, found.merged_user_id))


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

    assert webhook_meaning.read(body) == flow("flow.updated")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
ids = st.sampled_from([FLOW, USER, OLD_USER, NEW_USER, "flow.updated", "user.updated", "x"])
known_keys = st.sampled_from(["event", "flow_id", "user_id", "old_user_id", "new_user_id", "api_app_id"])


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=500) | st.dictionaries(known_keys, json_values | ids).map(lambda it: json.dumps(it).encode()))
def test_reading_is_total(body: bytes) -> None:
    """Any bytes, and any JSON under the keys we read, have a meaning; a merge is always about its new user."""
    found = webhook_meaning.read(body)

    assert (found.kind is None) == (found.subject_id is None)
    assert found.merged_user_id is None or found.kind == "user"
    assert found.merged_user_id is None or found.merged_user_id != found.subject_id
