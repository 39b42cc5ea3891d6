"""One flow, user or listed flow that Dots is odd about holds up no other."""

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
    httpx.Response(403, text="<html>Forbidden</html>"),
    refusal(401, "unauthorized"),
    httpx.Response(401),
]
ODDITIES = [
    *FORBIDDEN,
    refusal(404, "not-found"),
    refusal(400, "resource-busy"),
    refusal(429, "slow-down", headers={"Retry-After": "30"}),
    refusal(500, "oops"),
    httpx.Response(200, text="junk"),
    httpx.Response(200, json={"id": flow_id_of(9), "steps": []}),
    httpx.Response(302, headers={"Location": "/"}),
    httpx.Response(404, text="<html>nginx</html>"),
    httpx.ReadTimeout("no answer"),
]


def be_odd_about(dots: MemoryDots, odd: Subject, fault: httpx.Response | Exception) -> None:
    """Whenever Dots is asked about it, that happens; to all other calls Dots answers."""

    async def look() -> None:
        dots.faults = [fault] if dots.requests[-1].url.path.endswith(odd.id) else []

    dots.on_request = look


@pytest.mark.parametrize("fault", ODDITIES, ids=str)
async def test_one_odd_flow_does_not_hold_up_the_others(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, fault: httpx.Response | Exception
) -> None:
    """It was due first, and one is asked about at a time: the others have their turn within a minute."""
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
async def test_one_forbidden_subject_says_nothing_about_the_credentials(
    inputs: AllInputs, dots: MemoryDots, fault: httpx.Response
) -> None:
    """It is that flow's or user's failure, counted and tried again later; the app is not paused."""
    dots.add_user()
    be_odd_about(dots, user(), fault)
    await make_due(inputs, user())

    await refresh_due(inputs, limit=1)

    row = await sync_row(inputs, user())
    assert (row["attempts"], row["last_error"]) == (1, DotsForbiddenError.code)
    assert await stored.rows(inputs.engine, PAUSED) == [{"pauses": 0, "paused_until": None}]


async def test_credentials_are_tried_once_for_all_that_is_forbidden(inputs: AllInputs, dots: MemoryDots) -> None:
    """A hundred forbidden flows cost one more call, not a hundred."""
    forbidden = [flow(flow_id_of(number)) for number in range(100, 120)]

    async def forbid() -> None:
        dots.faults = [] if dots.requests[-1].url.path.endswith("/flows") else [refusal(403, "forbidden")]

    dots.on_request = forbid
    await make_due(inputs, *forbidden)

    await refresh_due(inputs, limit=20)

    assert len([request for request in dots.requests if request.url.path.endswith("/flows")]) == 1
    assert len(dots.requests) == 21


async def test_forbidden_for_a_day_is_given_up(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Like anything else that a day of trying again has not helped."""
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
async def test_trial_that_tells_nothing_pauses_nothing(
    inputs: AllInputs, dots: MemoryDots, trial: httpx.Response | Exception
) -> None:
    """Only a refusal of a call that depends on no subject proves that the credentials are bad."""
    dots.faults = [refusal(403, "forbidden"), trial]

    with pytest.raises(DotsForbiddenError):
        await refresh_now(inputs, ODD)

    assert await stored.rows(inputs.engine, PAUSED) == [{"pauses": 0, "paused_until": None}]


async def test_list_that_is_refused_is_a_trial_of_its_own(inputs: AllInputs, dots: MemoryDots) -> None:
    """Dots refuses the credentials: one call has shown it, the trial has proved it."""
    dots.fault = refusal(403, "forbidden")

    await discover_flows(inputs)

    assert (await stored.row(inputs.engine, PAUSED))["pauses"] == 1


async def test_unreadable_flows_of_a_list_hide_no_other(inputs: AllInputs, dots: MemoryDots) -> None:
    """Whatever stands in Dots' list, the flows beside it are found."""
    good = [dots.add_flow(number) for number in (1, 2)]
    odd: list[object] = [None, {}, [], "flow", {"id": 7}, {"id": "a b"}, {"steps": ["payout"]}, {"id": None}]
    odd.append({"id": flow_id_of(3), "steps": "payout", "created": 7, "metadata": []})
    dots.faults = [httpx.Response(200, json={"data": [good[0], *odd, good[1]], "has_more": False})]

    await discover_flows(inputs)

    found = await stored.rows(inputs.engine, "SELECT subject_id FROM sync_rows ORDER BY subject_id")
    assert [row["subject_id"] for row in found] == [flow_id_of(number) for number in (1, 2, 3)]


@pytest.mark.parametrize("readable", [0, 1])
async def test_list_without_a_readable_id_to_go_on_from_ends(
    inputs: AllInputs, dots: MemoryDots, readable: int
) -> None:
    """A page after which there is no next one is no reason to ask for ever."""
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
async def test_nobody_calls_during_a_pause(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, fault: httpx.Response, error: type[Exception]
) -> None:
    """Not an operator's refresh, not a listing, not the worker; each is told, or waits, and goes on afterwards."""
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
