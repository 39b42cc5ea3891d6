from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from app.flows.rules.merges import Merge, survivor

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def merges(*pairs: str, app: str = "default") -> list[Merge]:
    """Build merges, a minute apart. `ab` merges a into b."""
    return [
        Merge(app=app, old_user_id=pair[0], new_user_id=pair[1], received_at=NOW + minute * timedelta(minutes=1))
        for minute, pair in enumerate(pairs)
    ]


CASES = [
    ((), "a", "a"),
    (("ab",), "a", "b"),
    (("ab",), "b", "b"),
    (("ab", "bc", "cd"), "a", "d"),
    (("ab", "cb"), "c", "b"),
    (("xy",), "a", "a"),
    # In a circle the latest merge counts, for all users in it and all that lead to it.
    (("ab", "ba"), "a", "a"),
    (("ab", "ba"), "b", "a"),
    (("ba", "ab"), "a", "b"),
    (("ab", "bc", "ca"), "b", "a"),
    (("xa", "ab", "ba"), "x", "a"),
    (("aa",), "a", "a"),
]


@pytest.mark.parametrize(("pairs", "user_id", "expected"), CASES)
def test_survivor_is_the_end_of_the_chain(pairs: tuple[str, ...], user_id: str, expected: str) -> None:
    """The survivor is the last user of the chain."""
    assert survivor("default", user_id, merges(*pairs)) == expected


@pytest.mark.parametrize("pairs", [*permutations(["ab", "bc", "cd"])])
def test_order_of_a_chain_does_not_matter(pairs: tuple[str, ...]) -> None:
    """Webhooks may arrive in any order."""
    assert {survivor("default", user_id, merges(*pairs)) for user_id in "abcd"} == {"d"}


def test_merges_of_another_app_do_not_count() -> None:
    """Users of two apps may have the same ids."""
    assert survivor("eu", "a", merges("ab")) == "a"
