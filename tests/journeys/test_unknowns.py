"""The gateway ends in the expected state for every assumption about undocumented behaviour of Dots."""

from collections.abc import Iterator, MutableMapping
from typing import Any, Literal, get_args, get_origin

import pytest
import structlog

from simulator.knobs import Unknowns
from tests.journeys import one_process, unknown_rows
from tests.journeys.unknown_rows import Row


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """Capture the logs."""
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.mark.parametrize("row", unknown_rows.ROWS, ids=lambda row: row.name)
async def test_gateway_ends_in_the_expected_state(row: Row, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row sets one or two knobs and runs a scenario. Events, status and verdict match Dots' state."""
    async with one_process.running(database_url, monkeypatch, row.settings) as world:
        await world.dots.turn(unknowns=row.knobs)

        assert await row.scenario(world) == row.end


def test_every_value_of_every_knob_has_a_row() -> None:
    """A knob without a scenario would be an untested assumption."""
    tested = {(knob, str(value)) for row in unknown_rows.ROWS for knob, value in row.knobs.items()}
    named = {knob for knob, _ in tested}

    assert [knob for knob in Unknowns.model_fields if knob not in named] == []
    assert [value for value in _values() if value not in tested] == []


def _values() -> Iterator[tuple[str, str]]:
    """Each boolean and literal knob with each value other than its default."""
    for knob, about in Unknowns.model_fields.items():
        kinds = [about.annotation, *get_args(about.annotation)]
        values: list[Any] = [each for kind in kinds if get_origin(kind) is Literal for each in get_args(kind)]
        values += [True, False] if bool in kinds else []
        yield from ((knob, str(value)) for value in values if value != about.default)
