from app.errors import DatabaseUnavailableError
from bench import growth_timing
from bench.growth_client import UnexpectedStatusError
from bench.growth_timing import Action, timed


async def test_actions_take_turns_until_their_plans_are_generic_and_the_median_is_steady() -> None:
    """Each is called for the warm-up and for every repetition, and prepared as often."""
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


async def test_action_that_fails_ends_and_its_status_is_shown() -> None:
    """A request that gets 503 is not repeated and shows in the table as what it is."""
    calls: list[int] = []

    async def refuse(number: int) -> None:
        calls.append(number)
        raise UnexpectedStatusError("503")

    [timing] = await timed(Action(act=refuse))

    assert calls == [0]
    assert str(timing).startswith("503 after ")


async def test_pass_that_runs_into_a_time_limit_ends_only_its_own_row() -> None:
    """The table names the error's code, and the run goes on."""

    async def refuse(_number: int) -> None:
        raise DatabaseUnavailableError

    [timing] = await timed(Action(act=refuse))

    assert str(timing).startswith(f"{DatabaseUnavailableError.code} after ")
