"""What every answer of Dots to a creation means for its row and its key."""

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
CERTAIN = {*range(400, 419), *range(421, 427), 428, 429, 431, 451} - {408}


async def end_of(inputs: AllInputs, key: str) -> str:
    """How a creation ends: `made`, `final`, `may be tried again`, or `unknown`."""
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
    """Every status from 300 to 599: final, to be tried again at once, or open; the same key then acts accordingly."""
    ends, repeats = {}, {}
    for status in range(300, 600):
        dots.faults = [httpx.Response(status, json=REFUSAL) if has_code else httpx.Response(status, text="<html>")]
        ends[status] = await end_of(inputs, f"key-{status}")
        clock.advance(timedelta(minutes=5))  # Past any pause that the status has begun.
        dots.faults = []
        repeats[status] = await end_of(inputs, f"key-{status}")

    final = {400, 422} if has_code else set()
    assert {status for status, end in ends.items() if end == "final"} == final
    assert {status for status, end in ends.items() if end == "may be tried again"} == CERTAIN - final
    assert {status for status, end in ends.items() if end == "unknown"} == {*range(300, 600)} - CERTAIN
    assert {status for status, end in repeats.items() if end == "final"} == final
    assert {status for status, end in repeats.items() if end == "made"} == CERTAIN - final
    assert {status for status, end in repeats.items() if end == "running"} == {*range(300, 600)} - CERTAIN


class OurBugError(Exception):
    """Something nobody has thought of."""


@pytest.mark.parametrize("error", [DatabaseUnavailableError(), OurBugError(), LookupError()])
async def test_whatever_breaks_after_dots_has_made_the_flow_leaves_its_outcome_open(
    inputs: AllInputs, dots: MemoryDots, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A caller without a key that is told to try again would make a second flow."""

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
async def test_database_that_fails_after_dots_changes_no_outcome(
    inputs: AllInputs, dots: MemoryDots, monkeypatch: pytest.MonkeyPatch, fault: httpx.Response | Exception, end: str
) -> None:
    """What the caller is told is what became of the flow at Dots. The row stays, and is settled later."""

    async def fails(*_args: object, **_kwargs: object) -> None:
        raise DatabaseUnavailableError

    monkeypatch.setattr(creation_rows, "fail", fails)
    dots.faults = [fault]

    assert await end_of(inputs, "key-1") == end
    assert await stored.rows(inputs.engine, "SELECT status FROM flows") == [{"status": "creating"}]
