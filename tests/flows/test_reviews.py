"""Background checks that end or halt without a finding."""

from datetime import timedelta
from typing import Any

from app.flows.refresh_due import refresh_due
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import USER
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.flows.due import flow, make_due, user
from tests.storage import stored

REVIEW = "dots.background_check.needs_review"
VERDICT = "SELECT verdict, check_status, verdict_count, reviews_announced FROM users"


async def submit(inputs: AllInputs, dots: MemoryDots) -> None:
    """Complete a flow's background check, and refresh the flow."""
    dots.add_flow(1, steps=["background-check"], completed_steps=["background-check"], user_id=USER)
    await make_due(inputs, flow(flow_id_of(1)))
    await refresh_due(inputs, limit=1)


async def refresh_with(inputs: AllInputs, dots: MemoryDots, **compliance: Any) -> None:
    """Refresh the user with this answer of Dots."""
    older = compliance.pop("older", None)
    dots.add_user(**compliance)["sex_offender_check_status"] = older
    await make_due(inputs, user())
    await refresh_due(inputs, limit=10)


async def reported(inputs: AllInputs) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of the user, without `user_id` and `flows`."""
    events = await stored.rows(
        inputs.engine, "SELECT type, data FROM events WHERE subject LIKE 'user/%' ORDER BY row_id"
    )
    return [
        (event["type"], {name: event["data"][name] for name in event["data"].keys() - {"user_id", "flows"}})
        for event in events
    ]


async def test_a_check_that_ends_without_a_finding_needs_review(inputs: AllInputs, dots: MemoryDots) -> None:
    """The event has Dots' status."""
    await submit(inputs, dots)
    await refresh_with(inputs, dots, background_check={"status": "expired"}, has_criminal_activity=False)

    assert await stored.row(inputs.engine, VERDICT) == {
        "verdict": "needs_review",
        "check_status": "expired",
        "verdict_count": 0,
        "reviews_announced": ["expired"],
    }
    assert await reported(inputs) == [(REVIEW, {"check_status": "expired", "previous": None})]


async def test_a_decision_after_a_review_is_reported(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A poll finds it without a webhook."""
    await submit(inputs, dots)
    dots.add_user(background_check={"status": "consider"})
    await refresh_due(inputs, limit=10)
    dots.add_user(background_check={"status": "failed"}, has_criminal_activity=True)
    clock.advance(timedelta(minutes=1))
    await refresh_due(inputs, limit=10)

    assert [kind for kind, _ in await reported(inputs)] == [REVIEW, "dots.background_check.flagged"]
