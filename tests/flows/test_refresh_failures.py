from datetime import timedelta

import httpx
import pytest

from app.errors import DotsCredentialsError, DotsFailedError
from app.flows.refresh_due import PassResult, refresh_due, refresh_now
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import NOW
from tests.dots.memory_dots import (
    Fault,
    MemoryDots,
    flow_id_of,
    refusal,
)
from tests.flows.due import (
    event_types,
    flow,
    make_due,
    sync_row,
)
from tests.storage import stored

FLOW = flow(flow_id_of(1))
MINUTE = timedelta(minutes=1)

POSTPONED: list[tuple[Fault, str, timedelta]] = [
    (httpx.ConnectError("no"), "dots_unreachable", timedelta(seconds=2)),
    (refusal(503, "service-unavailable", headers={"Retry-After": "40"}), "dots_failed", timedelta(seconds=40)),
    (refusal(503, "service-unavailable", headers={"Retry-After": "1"}), "dots_failed", timedelta(seconds=2)),
    (
        httpx.Response(200, json={"id": flow_id_of(2), "steps": ["payout"]}),
        "dots_invalid_response",
        timedelta(seconds=2),
    ),
    (refusal(404, "not-found"), "dots_not_found", timedelta(seconds=2)),
    (refusal(400, "invalid-input"), "dots_refused", timedelta(seconds=2)),
]


@pytest.mark.parametrize(("fault", "code", "wait"), POSTPONED, ids=str)
async def test_failure_is_tried_again_after_its_wait(
    inputs: AllInputs, dots: MemoryDots, fault: Fault, code: str, wait: timedelta
) -> None:
    """A failure postpones the row, gives the claim back and stores the error's code. Nothing else changes."""
    dots.add_flow(1)
    dots.fault = fault
    await make_due(inputs, FLOW)

    step_counts = await refresh_due(inputs, limit=10)

    assert step_counts == PassResult(claimed=1, failed=1)
    assert await sync_row(inputs, FLOW) == {
        "due_at": NOW + wait,
        "due_by": "webhook",
        "dirty_gen": 1,
        "clean_gen": 0,
        "lease_token": None,
        "lease_until": None,
        "attempts": 1,
        "last_error": code,
    }
    assert await stored.rows(inputs.engine, "SELECT due_by, outcome FROM refreshes") == [
        {"due_by": "webhook", "outcome": code}
    ]
    assert await event_types(inputs) == []


async def test_failures_in_a_row_wait_longer_until_a_success(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """The waits are 2 s, 10 s, 1 min, 5 min, 30 min, 2 h and 6 h. A success resets them."""
    dots.add_flow(1)
    dots.fault = refusal(500, "oops")
    await make_due(inputs, FLOW)
    waits = []
    for _ in range(8):
        await refresh_due(inputs, limit=10)
        due_at = (await sync_row(inputs, FLOW))["due_at"]
        waits.append((due_at - clock.now).total_seconds())
        clock.now = due_at
    dots.fault = None
    await refresh_due(inputs, limit=10)
    row = await sync_row(inputs, FLOW)

    assert waits == [2, 10, 60, 300, 1800, 7200, 21600, 21600]
    assert (row["attempts"], row["last_error"], row["clean_gen"]) == (0, None, 1)


async def test_webhook_ends_the_waiting(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A webhook makes a postponed flow due now."""
    dots.add_flow(1)
    dots.faults = [refusal(500, "oops")] * 4
    await make_due(inputs, FLOW)
    for _ in range(4):
        await refresh_due(inputs, limit=10)
        clock.now = (await sync_row(inputs, FLOW))["due_at"]
    clock.advance(-timedelta(minutes=4))
    before = await refresh_due(inputs, limit=10)
    await make_due(inputs, FLOW)
    after = await refresh_due(inputs, limit=10)

    assert (before.claimed, after) == (0, PassResult(claimed=1, failed=0))


async def test_webhook_during_a_failing_call_is_not_postponed(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """It arrived after the call began, so the wait for the failure does not apply."""
    dots.add_flow(1)
    dots.fault = refusal(500, "oops")
    await make_due(inputs, FLOW)
    for _ in range(6):
        await refresh_due(inputs, limit=10)
        clock.now = (await sync_row(inputs, FLOW))["due_at"]

    async def receive_webhook() -> None:
        await make_due(inputs, FLOW)

    dots.on_request = receive_webhook
    await refresh_due(inputs, limit=10)

    assert (await sync_row(inputs, FLOW))["due_at"] <= clock.now + MINUTE


async def test_throttled_app_is_not_called_until_the_pause_ends(
    inputs: AllInputs, dots: MemoryDots, other_dots: MemoryDots, clock: HandClock
) -> None:
    """A 429 pauses all flows of the app, counts as no failure, and does not affect other apps."""
    for number in (1, 2):
        dots.add_flow(number)
    other_dots.add_flow(3)
    dots.faults = [refusal(429, "slow-down", headers={"Retry-After": "30"})]
    await make_due(inputs, FLOW)
    await refresh_due(inputs, limit=10)
    await make_due(inputs, flow(flow_id_of(2)), flow(flow_id_of(3), app="eu"))
    meanwhile = await refresh_due(inputs, limit=10)
    row = await sync_row(inputs, FLOW)
    clock.advance(timedelta(seconds=30))
    afterwards = await refresh_due(inputs, limit=10)

    assert meanwhile == PassResult(claimed=1, failed=0)
    assert len(other_dots.requests) == 1
    assert (row["attempts"], row["lease_token"], row["due_at"]) == (0, None, NOW + timedelta(seconds=1))
    assert afterwards == PassResult(claimed=2, failed=0)


async def test_throttling_without_a_retry_after_lasts_five_seconds(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """If a 429 has no Retry-After, the pause is five seconds."""
    dots.add_flow(1)
    dots.faults = [refusal(429, "slow-down")]
    await make_due(inputs, FLOW)
    await refresh_due(inputs, limit=10)
    clock.advance(timedelta(seconds=4.9))
    early = await refresh_due(inputs, limit=10)
    clock.advance(timedelta(seconds=0.1))
    in_time = await refresh_due(inputs, limit=10)

    assert (early.claimed, in_time.claimed) == (0, 1)


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_pause_only_their_app(
    inputs: AllInputs, dots: MemoryDots, other_dots: MemoryDots, clock: HandClock, status: int
) -> None:
    """Refused credentials pause one app, count as no failure of a flow, and the pause ends with a success."""
    dots.add_flow(1)
    other_dots.add_flow(3)
    dots.fault = refusal(status, "unauthorized")
    await make_due(inputs, FLOW)
    await refresh_due(inputs, limit=10)
    dots.fault = None
    await make_due(inputs, flow(flow_id_of(3), app="eu"))
    meanwhile = await refresh_due(inputs, limit=10)
    asked_of_the_other = len(other_dots.requests)
    paused = await stored.rows(inputs.engine, "SELECT app, paused_until, pauses FROM apps WHERE app = 'default'")
    row = await sync_row(inputs, FLOW)
    clock.advance(MINUTE)
    afterwards = await refresh_due(inputs, limit=10)
    resumed = await stored.rows(inputs.engine, "SELECT app, paused_until, pauses FROM apps WHERE app = 'default'")

    assert (meanwhile.claimed, asked_of_the_other) == (1, 1)
    assert paused == [{"app": "default", "paused_until": NOW + MINUTE, "pauses": 1}]
    assert (row["attempts"], row["due_at"], row["lease_token"]) == (0, NOW + timedelta(seconds=1), None)
    assert afterwards.failed == 0
    assert (await sync_row(inputs, FLOW))["clean_gen"] == 1
    assert resumed == [{"app": "default", "paused_until": None, "pauses": 0}]


async def test_unexpected_error_does_not_affect_the_others(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """The refresh is retried with growing waits, and the other flows are refreshed."""
    dots.add_flow(1, link="https://breaks.example")
    dots.add_flow(2)
    await stored.execute(
        inputs.engine, "ALTER TABLE flows ADD CONSTRAINT broken CHECK (link <> 'https://breaks.example')"
    )
    await make_due(inputs, FLOW, flow(flow_id_of(2)))
    first = await refresh_due(inputs, limit=10)
    after_first = await sync_row(inputs, FLOW)
    clock.advance(timedelta(seconds=2))
    second = await refresh_due(inputs, limit=10)
    after_second = await sync_row(inputs, FLOW)
    await stored.execute(inputs.engine, "ALTER TABLE flows DROP CONSTRAINT broken")
    clock.advance(timedelta(seconds=10))
    third = await refresh_due(inputs, limit=10)

    assert (first, second, third.failed) == (PassResult(claimed=2, failed=1), PassResult(claimed=1, failed=1), 0)
    assert (after_first["due_at"], after_first["last_error"]) == (NOW + timedelta(seconds=2), "internal")
    assert after_second["due_at"] == NOW + timedelta(seconds=12)
    assert (await sync_row(inputs, FLOW))["attempts"] == 0


@pytest.mark.parametrize(
    ("fault", "kind"), [(refusal(500, "oops"), DotsFailedError), (refusal(401, "no"), DotsCredentialsError)]
)
async def test_refresh_now_raises_and_sets_the_next_try(
    inputs: AllInputs, dots: MemoryDots, fault: Fault, kind: type[Exception]
) -> None:
    """The caller gets the error, and a worker tries again later."""
    dots.add_flow(1)
    dots.fault = fault

    with pytest.raises(kind):
        await refresh_now(inputs, FLOW)

    row = await sync_row(inputs, FLOW)
    assert (row["lease_token"], row["clean_gen"], row["due_by"]) == (None, 0, "refresh")
    assert row["due_at"] is not None


async def test_flow_of_a_removed_app_is_not_claimed(inputs: AllInputs) -> None:
    """Rows of an app that is no longer in the settings wait and delay no others."""
    await make_due(inputs, flow(flow_id_of(1), app="gone"))

    assert await refresh_due(inputs, limit=10) == PassResult(claimed=0, failed=0)
