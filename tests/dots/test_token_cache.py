"""Tokens in memory: which calls may spend them, and for how long."""

from datetime import timedelta

import pytest

from app.dots.budget import Budget
from app.dots.token_cache import TokenCache
from tests.dots.fake_dots import NOW

SECOND = timedelta(seconds=1)
SMALL = Budget(per_second=1, burst=10)


def test_tokens_are_spent_once() -> None:
    """The cache gives out each token once."""
    token_cache = TokenCache(SMALL)
    token_cache.put(5, reserve=0, now=NOW)

    spent = [token_cache.spend(wanted, reserve=0, now=NOW) for wanted in (3, 3, 3)]

    assert spent == [3, 2, 0]


def test_a_creation_may_spend_tokens_of_sweeps_but_not_the_other_way_round() -> None:
    """A call may spend tokens that were taken under a greater reserve, but not under a smaller one."""
    token_cache = TokenCache(SMALL)
    token_cache.put(2, reserve=0, now=NOW)
    token_cache.put(2, reserve=5, now=NOW)

    by_a_sweep = token_cache.spend(4, reserve=5, now=NOW)
    token_cache.put(2, reserve=5, now=NOW)
    by_a_creation = token_cache.spend(4, reserve=0, now=NOW)

    assert (by_a_sweep, by_a_creation) == (2, 4)


def test_tokens_are_too_old_after_a_second() -> None:
    """Old tokens cannot be spent. They go back into the bucket once."""
    token_cache = TokenCache(SMALL)
    token_cache.put(3, reserve=0, now=NOW)
    token_cache.put(1, reserve=0, now=NOW + SECOND / 2)

    spent = token_cache.spend(1, reserve=0, now=NOW + SECOND)
    returned = [token_cache.take_stale(NOW + SECOND), token_cache.take_stale(NOW + SECOND)]

    assert spent == 0
    assert returned == [4, 0]


def test_an_empty_bucket_is_left_alone_for_a_while() -> None:
    """The wait ends when a token can be back. A clock that goes back does not make it longer."""
    token_cache = TokenCache(SMALL)
    token_cache.note_empty_bucket(reserve=1, now=NOW)

    assert token_cache.is_spent(reserve=1, now=NOW)
    assert not token_cache.is_worth_asking(reserve=1, now=NOW + 0.9 * SECOND)
    assert token_cache.is_worth_asking(reserve=1, now=NOW + SECOND)
    assert token_cache.is_worth_asking(reserve=1, now=NOW - SECOND)
    assert token_cache.is_worth_asking(reserve=0, now=NOW)


def test_a_token_cache_with_tokens_is_not_spent() -> None:
    """Tokens in the cache can be spent even if the bucket is empty."""
    token_cache = TokenCache(SMALL)
    token_cache.note_empty_bucket(reserve=0, now=NOW)
    token_cache.put(1, reserve=0, now=NOW)

    assert not token_cache.is_spent(reserve=0, now=NOW)


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
