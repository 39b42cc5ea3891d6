"""The types that a subscription may request, and the types it gets."""

import base64
import dataclasses
from uuid import UUID

import pytest

from app.feed import events
from app.subscriptions.rules import subscriptions
from app.subscriptions.rules.subscriptions import Subscription
from tests.dots.fake_dots import NOW

SUBSCRIPTION = Subscription(
    id=UUID(int=1),
    caller="shop",
    description=None,
    url="http://127.0.0.1/events",
    types=("*",),
    app=None,
    with_compliance=False,
    created_at=NOW,
    paused_at=None,
    paused_by=None,
    failing_since=None,
    opened_at=None,
    held_until=None,
    closed_at=None,
)
FLOW_TYPES = {events.FLOW_CREATED, events.FLOW_CLAIMED, events.STEP_COMPLETED, events.FLOW_COMPLETED}
CHECKS = {events.CHECK_CLEARED, events.CHECK_FLAGGED, events.CHECK_NEEDS_REVIEW}


@pytest.mark.parametrize(
    ("patterns", "with_compliance", "wanted"),
    [
        (["*"], False, FLOW_TYPES | {events.ID_VERIFIED}),
        (["*"], True, set(events.TYPES)),
        (["dots.flow.*"], False, FLOW_TYPES),
        (["dots.flow.*"], True, FLOW_TYPES),
        (["dots.flow.c*"], False, {events.FLOW_CREATED, events.FLOW_CLAIMED, events.FLOW_COMPLETED}),
        (["dots.flow.completed", "dots.user.id_verified"], False, {events.FLOW_COMPLETED, events.ID_VERIFIED}),
        # Exact names need `with_compliance` as well.
        (
            ["dots.*", "dots.background_check.*", "dots.background_check.flagged"],
            False,
            FLOW_TYPES | {events.ID_VERIFIED},
        ),
        (["dots.background_check.*"], True, CHECKS),
    ],
)
def test_patterns_and_compliance_select_types(patterns: list[str], *, with_compliance: bool, wanted: set[str]) -> None:
    """Events of background checks need `with_compliance`."""
    subscription = dataclasses.replace(SUBSCRIPTION, types=tuple(patterns), with_compliance=with_compliance)

    assert subscriptions.wanted_types(subscription) == wanted


@pytest.mark.parametrize(
    ("patterns", "with_compliance", "fields"),
    [
        (["*"], False, []),
        (["dots.flow.completed", "dots.flow.*"], False, []),
        (["dots.*"], False, []),
        (["dots.background_check.*"], True, []),
        (["dots.background_check.*"], False, ["types.0"]),
        (["dots.flow.*", "dots.background_check.flagged"], False, ["types.1"]),
        ([], False, ["types"]),
        (["*"] * 50, False, []),
        (["*"] * 51, False, ["types"]),
        (["nonsense", "*", ""], True, ["types.0", "types.2"]),
        # A star is a wildcard only at the end, as in the SQL that matches stored patterns.
        (["*.completed"], False, ["types.0"]),
        (["dots.*.completed"], False, ["types.0"]),
        (["dots.flow.**"], False, ["types.0"]),
        (["DOTS.FLOW.COMPLETED"], False, ["types.0"]),
        (["dots.subscription.test"], False, ["types.0"]),
    ],
)
def test_patterns_without_a_match_are_problems(
    patterns: list[str], *, with_compliance: bool, fields: list[str]
) -> None:
    """A misspelt type would never match an event."""
    problems = subscriptions.check_types(patterns, with_compliance=with_compliance)

    assert [problem.field for problem in problems] == fields


UNKNOWN = (
    "matches no event type; the types are dots.flow.created, dots.flow.claimed, dots.flow.step_completed, "
    "dots.flow.completed, dots.user.id_verified"
)
MORE = ", dots.background_check.cleared, dots.background_check.flagged, dots.background_check.needs_review"


@pytest.mark.parametrize(
    ("patterns", "with_compliance", "message"),
    [
        (["nonsense"], False, UNKNOWN),
        (["nonsense"], True, UNKNOWN + MORE),
        (["dots.background_check.*"], False, "needs with_compliance"),
        ([], False, "must be 1 to 50 types or patterns"),
    ],
)
def test_problem_lists_possible_types(patterns: list[str], *, with_compliance: bool, message: str) -> None:
    """The problem lists only types that the subscription may get."""
    (problem,) = subscriptions.check_types(patterns, with_compliance=with_compliance)

    assert problem.message == message


def test_subscription_has_its_own_subject() -> None:
    """Secrets are bound to this subject."""
    assert subscriptions.subject_of(UUID(int=1)) == "subscription/00000000-0000-0000-0000-000000000001"


def test_secret_has_the_form_of_standard_webhooks() -> None:
    """It is `whsec_` and base64 of the 32 bytes."""
    written = subscriptions.write_secret(bytes(range(32)))

    assert written.startswith("whsec_")
    assert base64.b64decode(written.removeprefix("whsec_"), validate=True) == bytes(range(32))
