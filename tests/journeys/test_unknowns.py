"""Whatever Dots does where its documentation is silent, the gateway ends as it should."""

from collections.abc import Iterator, MutableMapping
from typing import Any, Literal, get_args, get_origin

import pytest
import structlog

from simulator.knobs import Unknowns
from tests.journeys import one_process, unknown_rows
from tests.journeys.unknown_rows import Row


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What was logged, as data; nothing reaches the terminal."""
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.mark.parametrize("row", unknown_rows.ROWS, ids=lambda row: row.name)
async def test_whatever_dots_does_the_gateway_ends_as_it_should(
    row: Row, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One short story under one or two knobs: events, state and verdict are what Dots' truth is."""
    async with one_process.running(database_url, monkeypatch, row.settings) as world:
        await world.dots.turn(unknowns=row.knobs)

        assert await row.scenario(world) == row.end


def test_every_value_of_every_knob_has_a_row() -> None:
    """A knob that no story of the gateway turns would be a promise that nothing keeps."""
    turned = {(knob, str(value)) for row in unknown_rows.ROWS for knob, value in row.knobs.items()}
    named = {knob for knob, _ in turned}

    assert [knob for knob in Unknowns.model_fields if knob not in named] == []
    assert [value for value in _values() if value not in turned] == []


def _values() -> Iterator[tuple[str, str]]:
    """Each knob with each value other than its default, of those that have few."""
    for knob, about in Unknowns.model_fields.items():
        kinds = [about.annotation, *get_args(about.annotation)]
        values: list[Any] = [each for kind in kinds if get_origin(kind) is Literal for each in get_args(kind)]
        values += [True, False] if bool in kinds else []
        yield from ((knob, str(value)) for value in values if value != about.default)
