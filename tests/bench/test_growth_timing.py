import pytest

from app.errors import DatabaseUnavailableError
from bench import growth_timing
from bench.growth_client import UnexpectedStatusError
from bench.growth_timing import Action, timed


async def test_actions_take_turns_until_their_plans_are_generic_and_the_median_is_steady() -> None:
    """Each action is prepared and called once for each round of the warm-up and for each repetition."""
    calls: list[str] = []

    async def note(name: str) -> None:
        calls.append(name)

    first, second = await timed(
        Action(act=lambda number: note(f"first {number}"), prepare=lambda number: note(f"prepare {number}")),
        Action(act=lambda number: note(f"second {number}")),
    )

    assert calls[:6] == ["prepare 0", "first 0", "second 0", "prepare 1", "first 1", "second 1"]
    assert (first.repetitions, second.repetitions) == (growth_timing.REPETITIONS, growth_timing.REPETITIONS)
    assert len(calls) == 3 * (growth_timing.WARM_UP + growth_timing.REPETITIONS)
    assert growth_timing.WARM_UP > 6


@pytest.mark.parametrize(
    ("error", "shown"),
    [(UnexpectedStatusError("503"), "503"), (DatabaseUnavailableError(), DatabaseUnavailableError.code)],
)
async def test_action_that_fails_ends_and_its_status_is_shown(error: Exception, shown: str) -> None:
    """A failed action is not repeated. The table shows its status or the code of its error."""
    calls: list[int] = []

    async def refuse(number: int) -> None:
        calls.append(number)
        raise error

    [timing] = await timed(Action(act=refuse))

    assert calls == [0]
    assert str(timing).startswith(f"{shown} after ")
