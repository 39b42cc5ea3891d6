from datetime import timedelta

import pytest

from app.dots.budget import Budget


def test_a_bucket_keeps_some_calls_for_those_that_matter_more() -> None:
    """Refreshes leave a tenth of the burst, sweeps leave half of it."""
    budget = Budget(per_second=10, burst=40)

    assert budget.reserve_of_refreshes == 4
    assert budget.reserve_of_sweeps == 20


@pytest.mark.parametrize(
    ("per_second", "wanted", "taken"),
    [
        (40, 1, 10),  # a quarter of a second's worth
        (40, 10, 10),
        (40, 11, 11),
        (1, 1, 1),
        (43, 1, 10),  # whole tokens only
    ],
)
def test_tokens_are_taken_a_few_times_a_second(per_second: float, wanted: int, taken: int) -> None:
    """As many as are wanted, and at least what a quarter of a second brings."""
    assert Budget(per_second=per_second, burst=100).chunk(wanted) == taken


@pytest.mark.parametrize(
    ("per_second", "seconds"),
    [
        (100, 0.25),  # a quarter of a second brings more than a token
        (4, 0.25),
        (2, 0.5),  # until a token is back
        (1, 1.0),
        (0.1, 1.0),  # a second at most: the settings may change
    ],
)
def test_an_empty_bucket_is_left_alone_until_it_has_a_token(per_second: float, seconds: float) -> None:
    """At least a quarter of a second, at most a second."""
    assert Budget(per_second=per_second, burst=100).wait == timedelta(seconds=seconds)
