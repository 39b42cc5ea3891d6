"""Dividing a limit among apps."""

import pytest

from app.flows.rules.sharing import share

SHARES = [
    ({}, 8, 0, {}),
    ({"a": 3}, 8, 0, {"a": 3}),
    ({"a": 100}, 8, 0, {"a": 8}),
    ({"a": 100, "b": 1}, 8, 0, {"a": 7, "b": 1}),
    ({"a": 100, "b": 100}, 8, 0, {"a": 4, "b": 4}),
    ({"a": 100, "b": 2, "c": 100}, 9, 0, {"a": 4, "b": 2, "c": 3}),
    ({"a": 1, "b": 1, "c": 1}, 2, 0, {"a": 1, "b": 1}),
    ({"a": 1, "b": 1, "c": 1}, 2, 2, {"c": 1, "a": 1}),
    ({"a": 1}, 0, 0, {}),
]


@pytest.mark.parametrize(("wanted", "limit", "first", "shares"), SHARES)
def test_each_app_gets_as_much_as_the_others(
    wanted: dict[str, int], limit: int, first: int, shares: dict[str, int]
) -> None:
    """Apps get equal shares. If one wants less, the rest goes to the others."""
    assert share(wanted, limit, first=first) == shares
