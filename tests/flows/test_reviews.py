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


async def hand_in(inputs: AllInputs, dots: MemoryDots) -> None:
    """A payee hands in a background check, and the flow is refreshed."""
    dots.add_flow(1, steps=["background-check"], completed_steps=["background-check"], user_id=USER)
    await make_due(inputs, flow(flow_id_of(1)))
    await refresh_due(inputs, limit=1)


async def look(inputs: AllInputs, dots: MemoryDots, **compliance: Any) -> None:
    """Dots says this of the user, and is asked."""
    older = compliance.pop("older", None)
    dots.add_user(**compliance)["sex_offender_check_status"] = older
    await make_due(inputs, user())
    await refresh_due(inputs, limit=10)


async def reported(inputs: AllInputs) -> list[tuple[str, dict[str, Any]]]:
    """The events of the user, with what they carry but the user and the flows."""
    events = await stored.rows(
        inputs.engine, "SELECT type, data FROM events WHERE subject LIKE 'user/%' ORDER BY row_id"
    )
    return [
        (event["type"], {name: event["data"][name] for name in event["data"].keys() - {"user_id", "flows"}})
        for event in events
    ]


async def test_a_check_that_ends_without_a_finding_needs_review(inputs: AllInputs, dots: MemoryDots) -> None:
    """It is neither pending for ever nor a verdict; the event says which status Dots gave."""
    await hand_in(inputs, dots)
    await look(inputs, dots, background_check={"status": "expired"}, has_criminal_activity=False)

    assert await stored.row(inputs.engine, VERDICT) == {
        "verdict": "needs_review",
        "check_status": "expired",
        "verdict_count": 0,
        "reviews_announced": ["expired"],
    }
    assert await reported(inputs) == [(REVIEW, {"check_status": "expired", "previous": None})]


async def test_a_review_is_told_once_for_each_status(inputs: AllInputs, dots: MemoryDots) -> None:
    """Not again when Dots says it again, goes back to pending in between, or settles."""
    await hand_in(inputs, dots)
    for status in ("consider", "consider", "pending", "consider", "expired", "pass", "consider"):
        await look(inputs, dots, background_check={"status": status}, has_criminal_activity=False)

    assert await reported(inputs) == [
        (REVIEW, {"check_status": "consider", "previous": None}),
        (REVIEW, {"check_status": "expired", "previous": None}),
        ("dots.background_check.cleared", {"previous": None}),
    ]
    assert (await stored.row(inputs.engine, VERDICT))["verdict"] == "cleared"


async def test_a_pass_beside_an_older_check_that_failed_clears_nobody(inputs: AllInputs, dots: MemoryDots) -> None:
    """Also when later answers leave the older check out; only its explicit pass lets the user be cleared."""
    passed = {"status": "pass"}
    await look(inputs, dots, background_check=passed, has_criminal_activity=False, older="failed")
    await look(inputs, dots, background_check=passed, has_criminal_activity=False)
    before = await reported(inputs)
    await look(inputs, dots, background_check=passed, has_criminal_activity=False, older="passed")

    assert before == [(REVIEW, {"check_status": "pass", "previous": None})]
    assert (await reported(inputs))[1:] == [("dots.background_check.cleared", {"previous": None})]


async def test_a_decision_after_a_review_is_told(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """The poll finds it, with no webhook."""
    await hand_in(inputs, dots)
    dots.add_user(background_check={"status": "consider"})
    await refresh_due(inputs, limit=10)
    dots.add_user(background_check={"status": "failed"}, has_criminal_activity=True)
    clock.advance(timedelta(minutes=1))
    await refresh_due(inputs, limit=10)

    assert [kind for kind, _ in await reported(inputs)] == [REVIEW, "dots.background_check.flagged"]
