"""The effect of Dots' answers to a creation on its row and its key."""

from datetime import timedelta

import httpx
import pytest

from app.errors import CreationOutcomeUnknownError, CreationRunningError, DatabaseUnavailableError, DotsError
from app.flows import apply_snapshot, creation_rows
from app.flows.rules.flow_request import FlowRequest
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import MemoryDots
from tests.flows.creating import create
from tests.storage import stored

REQUEST = FlowRequest(app="default", steps=["compliance"])
REFUSAL = {"success": False, "message": "no", "error_code": "invalid-input"}
# tests/dots/test_answers.py has all statuses.
NOT_CARRIED_OUT = {400, 401, 403, 404, 407, 409, 413, 422, 429, 451}
PERHAPS_CARRIED_OUT = {300, 307, 408, 499, 500, 503, 599}


async def end_of(inputs: AllInputs, key: str) -> str:
    """Return how a creation ends: `made`, `final`, `may be tried again`, `running` or `unknown`."""
    try:
        await create(inputs, REQUEST, key=key)
    except CreationOutcomeUnknownError:
        return "unknown"
    except CreationRunningError:
        return "running"
    except DotsError as error:
        return "final" if error.is_final else "may be tried again"
    return "made"


@pytest.mark.parametrize("has_code", [True, False])
async def test_only_a_refusal_uses_up_a_key(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, *, has_code: bool
) -> None:
    """Each status ends a creation as final, to be tried again, or unknown, and decides what the same key does next."""
    ends, repeats = {}, {}
    for status in NOT_CARRIED_OUT | PERHAPS_CARRIED_OUT:
        dots.faults = [httpx.Response(status, json=REFUSAL) if has_code else httpx.Response(status, text="<html>")]
        ends[status] = await end_of(inputs, f"key-{status}")
        clock.advance(timedelta(minutes=5))  # After any pause that the status has begun.
        dots.faults = []
        repeats[status] = await end_of(inputs, f"key-{status}")

    final = {400, 422} if has_code else set()
    assert {status for status, end in ends.items() if end == "final"} == final
    assert {status for status, end in ends.items() if end == "may be tried again"} == NOT_CARRIED_OUT - final
    assert {status for status, end in ends.items() if end == "unknown"} == PERHAPS_CARRIED_OUT
    assert {status for status, end in repeats.items() if end == "final"} == final
    assert {status for status, end in repeats.items() if end == "made"} == NOT_CARRIED_OUT - final
    assert {status for status, end in repeats.items() if end == "running"} == PERHAPS_CARRIED_OUT


class OurBugError(Exception):
    """An unexpected error."""


@pytest.mark.parametrize("error", [DatabaseUnavailableError(), OurBugError(), LookupError()])
async def test_error_after_dots_created_the_flow_is_an_unknown_outcome(
    inputs: AllInputs, dots: MemoryDots, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """An error that says "try again" would lead a caller without a key to a second flow."""

    async def breaks(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(apply_snapshot, "apply_flow", breaks)

    assert await end_of(inputs, "key-1") == "unknown"
    assert len(dots.posts) == 1


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (httpx.ReadTimeout("no answer"), "unknown"),
        (httpx.Response(500), "unknown"),
        (httpx.ConnectError("no"), "may be tried again"),
        (httpx.Response(400, json=REFUSAL), "final"),
    ],
    ids=str,
)
async def test_database_failure_after_dots_answered_does_not_change_the_outcome(
    inputs: AllInputs, dots: MemoryDots, monkeypatch: pytest.MonkeyPatch, fault: httpx.Response | Exception, end: str
) -> None:
    """The caller gets the outcome at Dots. The row stays and is settled later."""

    async def fails(*_args: object, **_kwargs: object) -> None:
        raise DatabaseUnavailableError

    monkeypatch.setattr(creation_rows, "fail", fails)
    dots.faults = [fault]

    assert await end_of(inputs, "key-1") == end
    assert await stored.rows(inputs.engine, "SELECT status FROM flows") == [{"status": "creating"}]
