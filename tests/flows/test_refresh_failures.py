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
    user,
)
from tests.storage import stored

FLOW = flow(flow_id_of(1))
MINUTE = timedelta(minutes=1)

POSTPONED: list[tuple[Fault, str, timedelta]] = [
    (httpx.ConnectError("no"), "dots_unreachable", timedelta(seconds=2)),
    (httpx.ReadTimeout("no"), "dots_unanswered", timedelta(seconds=2)),
    (refusal(500, "oops"), "dots_failed", timedelta(seconds=2)),
    (refusal(503, "service-unavailable", headers={"Retry-After": "40"}), "dots_failed", timedelta(seconds=40)),
    (refusal(503, "service-unavailable", headers={"Retry-After": "1"}), "dots_failed", timedelta(seconds=2)),
    (httpx.Response(200, content=b"junk"), "dots_invalid_response", timedelta(seconds=2)),
    (
        httpx.Response(200, json={"id": flow_id_of(2), "steps": ["payout"]}),
        "dots_invalid_response",
        timedelta(seconds=2),
    ),
    (httpx.Response(302, headers={"Location": "https://evil.example"}), "dots_invalid_response", timedelta(seconds=2)),
    (refusal(404, "not-found"), "dots_not_found", timedelta(seconds=2)),
    (refusal(400, "invalid-input"), "dots_refused", timedelta(seconds=2)),
]


@pytest.mark.parametrize(("fault", "code", "wait"), POSTPONED, ids=str)
async def test_failure_is_tried_again_after_its_wait(
    inputs: AllInputs, dots: MemoryDots, fault: Fault, code: str, wait: timedelta
) -> None:
    """What failed stays due, later; the claim is given back, the code is kept, nothing else changes."""
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
    """2 s, 10 s, 1 min, 5 min, 30 min, 2 h, 6 h, 6 h; after a success it begins anew."""
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


async def test_nothing_is_asked_before_its_time(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A postponed flow is left alone until it is due, to the moment."""
    dots.add_flow(1)
    dots.fault = refusal(500, "oops")
    await make_due(inputs, FLOW)
    await refresh_due(inputs, limit=10)
    clock.advance(timedelta(seconds=1.999))
    early = await refresh_due(inputs, limit=10)
    clock.advance(timedelta(seconds=0.001))
    in_time = await refresh_due(inputs, limit=10)

    assert (early.claimed, in_time.claimed) == (0, 1)


async def test_webhook_ends_the_waiting(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """News of a flow is worth another look at once, however long its failures made it wait."""
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


async def test_webhook_that_comes_while_a_fetch_fails_is_not_put_off(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """It has come after Dots was asked, so the wait for what failed is not its wait."""
    dots.add_flow(1)
    dots.fault = refusal(500, "oops")
    await make_due(inputs, FLOW)
    for _ in range(6):
        await refresh_due(inputs, limit=10)
        clock.now = (await sync_row(inputs, FLOW))["due_at"]

    async def hear_news() -> None:
        await make_due(inputs, FLOW)

    dots.on_request = hear_news
    await refresh_due(inputs, limit=10)

    assert (await sync_row(inputs, FLOW))["due_at"] <= clock.now + MINUTE


async def test_throttled_app_is_left_alone_as_long_as_dots_asks(
    inputs: AllInputs, dots: MemoryDots, other_dots: MemoryDots, clock: HandClock
) -> None:
    """429 holds all flows of the app off, counts as nobody's failure, and leaves other apps be."""
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


async def test_throttled_without_a_wait_is_a_few_seconds(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Dots says "fewer" without saying when: five seconds."""
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
    """One wrong key stops the flows of one app, is counted as no flow's failure, and is over when Dots accepts it."""
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


async def test_pauses_double_up_to_a_quarter_of_an_hour(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """1, 2, 4, 8, then every 15 minutes, however many flows each pass has asked about."""
    for number in range(1, 5):
        dots.add_flow(number)
    dots.fault = refusal(401, "unauthorized")
    await make_due(inputs, *(flow(flow_id_of(number)) for number in range(1, 5)))
    pauses = []
    for _ in range(6):
        await refresh_due(inputs, limit=10)
        until = (await stored.row(inputs.engine, "SELECT paused_until FROM apps"))["paused_until"]
        pauses.append((until - clock.now) / MINUTE)
        clock.now = until

    assert pauses == [1, 2, 4, 8, 15, 15]


async def test_one_failure_does_not_touch_the_others(inputs: AllInputs, dots: MemoryDots) -> None:
    """Of a batch, what can be refreshed is, whatever becomes of the rest."""
    for number in (2, 3):
        dots.add_flow(number, completed_steps=["compliance"])
    await make_due(inputs, *(flow(flow_id_of(number)) for number in (1, 2, 3)), user())

    step_counts = await refresh_due(inputs, limit=10)

    assert step_counts == PassResult(claimed=4, failed=2)
    assert (await event_types(inputs)).count("dots.flow.completed") == 2


async def test_bug_in_one_refresh_does_not_touch_the_others(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """What breaks is tried again like any failure, ever more seldom; the others are done."""
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
async def test_refresh_now_raises_after_noting_when_to_try_again(
    inputs: AllInputs, dots: MemoryDots, fault: Fault, kind: type[Exception]
) -> None:
    """Who asked is told, and the worker goes on trying."""
    dots.add_flow(1)
    dots.fault = fault

    with pytest.raises(kind):
        await refresh_now(inputs, FLOW)

    row = await sync_row(inputs, FLOW)
    assert (row["lease_token"], row["clean_gen"], row["due_by"]) == (None, 0, "refresh")
    assert row["due_at"] is not None


async def test_flow_of_an_app_that_is_no_longer_set_up_is_left_alone(inputs: AllInputs) -> None:
    """Rows of an app whose settings are gone wait for their return, and hold nobody up."""
    await make_due(inputs, flow(flow_id_of(1), app="gone"))

    assert await refresh_due(inputs, limit=10) == PassResult(claimed=0, failed=0)
