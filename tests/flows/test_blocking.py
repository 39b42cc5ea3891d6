"""A flow or user with odd answers of Dots does not delay the others."""

from datetime import timedelta

import httpx
import pytest

from app.errors import DotsCredentialsError, DotsForbiddenError, DotsThrottledError
from app.flows.discover_flows import discover_flows
from app.flows.refresh_due import refresh_due, refresh_now
from app.storage.subjects import Subject
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import MemoryDots, flow_id_of, refusal
from tests.flows.due import (
    flow,
    make_due,
    sync_row,
    user,
)
from tests.storage import stored

ODD = flow(flow_id_of(1))
OTHERS = [flow(flow_id_of(number)) for number in range(2, 6)]
PAUSED = "SELECT pauses, paused_until FROM apps WHERE app = 'default'"

FORBIDDEN = [
    refusal(403, "forbidden"),
    httpx.Response(401),
]
ODDITIES = [
    *FORBIDDEN,
    refusal(404, "not-found"),
    refusal(400, "resource-busy"),
    refusal(429, "slow-down", headers={"Retry-After": "30"}),
    httpx.Response(200, json={"id": flow_id_of(9), "steps": []}),
    httpx.ReadTimeout("no answer"),
]


def be_odd_about(dots: MemoryDots, odd: Subject, fault: httpx.Response | Exception) -> None:
    """Give this fault for calls about one subject. Answer all other calls."""

    async def choose_answer() -> None:
        dots.faults = [fault] if dots.requests[-1].url.path.endswith(odd.id) else []

    dots.on_request = choose_answer


@pytest.mark.parametrize("fault", ODDITIES, ids=str)
async def test_one_odd_flow_does_not_delay_the_others(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, fault: httpx.Response | Exception
) -> None:
    """It is due first, and a pass refreshes one flow. The others are refreshed within a minute."""
    for number in range(1, 6):
        dots.add_flow(number)
    be_odd_about(dots, ODD, fault)
    await make_due(inputs, ODD, due_at=clock.now - timedelta(seconds=1))
    await make_due(inputs, *OTHERS)

    for _ in range(12):
        await refresh_due(inputs, limit=1)
        clock.advance(timedelta(seconds=5))

    rows = [await sync_row(inputs, other) for other in OTHERS]
    assert [row["clean_gen"] for row in rows] == [1] * len(OTHERS)
    assert (await sync_row(inputs, ODD))["clean_gen"] == 0


@pytest.mark.parametrize("fault", FORBIDDEN, ids=str)
async def test_one_forbidden_subject_does_not_pause_the_app(
    inputs: AllInputs, dots: MemoryDots, fault: httpx.Response
) -> None:
    """A 401 or 403 for one subject is a failure of that subject if Dots accepts the credentials otherwise."""
    dots.add_user()
    be_odd_about(dots, user(), fault)
    await make_due(inputs, user())

    await refresh_due(inputs, limit=1)

    row = await sync_row(inputs, user())
    assert (row["attempts"], row["last_error"]) == (1, DotsForbiddenError.code)
    assert await stored.rows(inputs.engine, PAUSED) == [{"pauses": 0, "paused_until": None}]


async def test_credentials_are_tried_once_for_all_that_is_forbidden(inputs: AllInputs, dots: MemoryDots) -> None:
    """Twenty forbidden flows cause one trial."""
    forbidden = [flow(flow_id_of(number)) for number in range(100, 120)]

    async def forbid() -> None:
        dots.faults = [] if dots.requests[-1].url.path.endswith("/flows") else [refusal(403, "forbidden")]

    dots.on_request = forbid
    await make_due(inputs, *forbidden)

    await refresh_due(inputs, limit=20)

    assert len([request for request in dots.requests if request.url.path.endswith("/flows")]) == 1
    assert len(dots.requests) == 21


async def test_flow_forbidden_for_a_day_becomes_a_dead_letter(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """A 403 is not worth retrying after `dead_after`."""
    be_odd_about(dots, ODD, refusal(403, "forbidden"))
    await make_due(inputs, ODD)
    await refresh_due(inputs, limit=1)
    clock.advance(timedelta(days=1))

    await refresh_due(inputs, limit=1)

    assert await stored.row(inputs.engine, "SELECT last_error, due_at FROM sync_rows") == {
        "last_error": "dots_forbidden",
        "due_at": None,
    }


@pytest.mark.parametrize("trial", [refusal(500, "oops"), httpx.ReadTimeout("no answer"), refusal(404, "not-found")])
async def test_inconclusive_trial_does_not_pause_the_app(
    inputs: AllInputs, dots: MemoryDots, trial: httpx.Response | Exception
) -> None:
    """Only a refusal of a call without a subject proves that the credentials are wrong."""
    dots.faults = [refusal(403, "forbidden"), trial]

    with pytest.raises(DotsForbiddenError):
        await refresh_now(inputs, ODD)

    assert await stored.rows(inputs.engine, PAUSED) == [{"pauses": 0, "paused_until": None}]


async def test_refused_listing_pauses_the_app(inputs: AllInputs, dots: MemoryDots) -> None:
    """After the refused listing, the trial proves that the credentials are wrong."""
    dots.fault = refusal(403, "forbidden")

    await discover_flows(inputs)

    assert (await stored.row(inputs.engine, PAUSED))["pauses"] == 1


async def test_unreadable_flows_of_a_list_do_not_hide_others(inputs: AllInputs, dots: MemoryDots) -> None:
    """Readable flows are found beside unreadable ones."""
    good = [dots.add_flow(number) for number in (1, 2)]
    odd: list[object] = [None, {}, [], "flow", {"id": 7}, {"id": "a b"}, {"steps": ["payout"]}, {"id": None}]
    odd.append({"id": flow_id_of(3), "steps": "payout", "created": 7, "metadata": []})
    dots.faults = [httpx.Response(200, json={"data": [good[0], *odd, good[1]], "has_more": False})]

    await discover_flows(inputs)

    found = await stored.rows(inputs.engine, "SELECT subject_id FROM sync_rows ORDER BY subject_id")
    assert [row["subject_id"] for row in found] == [flow_id_of(number) for number in (1, 2, 3)]


@pytest.mark.parametrize("readable", [0, 1])
async def test_listing_ends_without_a_readable_id_to_continue_from(
    inputs: AllInputs, dots: MemoryDots, readable: int
) -> None:
    """Without an id for the next page, the listing stops."""
    flows = [dots.add_flow(1)] * readable
    dots.fault = httpx.Response(200, json={"data": [*flows, {"id": 7}], "has_more": True})

    await discover_flows(inputs)

    assert len(dots.requests) == 1 + readable


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refusal(401, "unauthorized"), DotsCredentialsError),
        (refusal(429, "slow-down", headers={"Retry-After": "60"}), DotsThrottledError),
    ],
    ids=str,
)
async def test_no_call_is_made_during_a_pause(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, fault: httpx.Response, error: type[Exception]
) -> None:
    """Manual refreshes, listings and workers make no call before the pause ends."""
    dots.add_flow(1)
    dots.fault = fault
    with pytest.raises(error):
        await refresh_now(inputs, ODD)
    before = len(dots.requests)
    dots.fault = None

    for _ in range(11):
        clock.advance(timedelta(seconds=5))
        with pytest.raises(error):
            await refresh_now(inputs, ODD)
        await refresh_due(inputs, limit=10)
        await discover_flows(inputs)
    during = len(dots.requests) - before
    clock.advance(timedelta(seconds=5))

    assert during == 0
    assert await refresh_now(inputs, ODD)
    assert (await sync_row(inputs, ODD))["clean_gen"] > 0
