"""The names that crash points and planted bugs replace exist. `plant` shows that the bugs are caught."""

import sys
from functools import partial
from types import ModuleType

import pytest

from tests.faults.campaigns import bug_changes, crash_points, crashes, replacing
from tests.faults.campaigns.planted_bugs import PLANTED_BUGS, PlantedBug


@pytest.mark.parametrize("bug", PLANTED_BUGS, ids=lambda bug: bug.name)
def test_what_a_planted_bug_replaces_is_there(bug: PlantedBug) -> None:
    """This fails when a function has moved or a statement has changed, before the campaigns run."""
    for target, change in bug.changes.items():
        _, _, replaced = replacing.changed(target, change)
        assert replaced is not None


@pytest.mark.parametrize("point", crashes.ALL_POINTS)
def test_what_a_crash_point_wraps_is_there(point: str) -> None:
    """This fails when a function has moved, before the campaigns run."""
    parsed = crash_points.parse(point)
    _, name, wrapped = replacing.changed(parsed.function, partial(crash_points.deadly, point=parsed))

    assert wrapped.__name__ == name


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module `owner` that has a function."""
    module = ModuleType("owner")
    vars(module)["double"] = lambda number: 2 * number
    monkeypatch.setitem(sys.modules, "owner", module)
    return module


def test_a_name_is_replaced_where_it_is_looked_up(owner: ModuleType) -> None:
    """The change gets the original value."""
    replacing.replace("owner:double", lambda double: lambda number: double(number) + 1)

    assert owner.double(4) == 9


def test_a_function_that_another_module_imports_by_name_is_refused(
    owner: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That module would still call the original function."""
    copy = ModuleType("app.copy")
    vars(copy)["double"] = owner.double
    monkeypatch.setitem(sys.modules, "app.copy", copy)

    with pytest.raises(ValueError, match=r"app\.copy imports owner:double by its name"):
        replacing.changed("owner:double", lambda double: double)


def test_a_statement_without_the_pattern_is_refused() -> None:
    """A bug that changes nothing must not pass as planted."""
    change = bug_changes.sql((r"FOR UPDATE", ""))

    with pytest.raises(ValueError, match="occurs 0 times"):
        change("SELECT 1")
