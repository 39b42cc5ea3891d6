"""A step of the purge fails, and the other steps still run."""

from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from app.upkeep import purge_expired
from app.upkeep.purge_expired import Retention
from tests.all_inputs import AllInputs
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import stored

DAY = timedelta(days=1)
RETENTION = Retention(bodies=30 * DAY, webhooks=120 * DAY, refreshes=30 * DAY, answers=DAY, events=90 * DAY)

BREAK = """
    CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
"""
# Each step, and a trigger that makes it fail. A statement trigger fires even when the statement touches no row.
BROKEN = {
    "bodies": "CREATE TRIGGER break BEFORE UPDATE ON webhooks EXECUTE FUNCTION break()",
    "webhooks": "CREATE TRIGGER break BEFORE DELETE ON webhooks EXECUTE FUNCTION break()",
    "refreshes": "CREATE TRIGGER break BEFORE DELETE ON refreshes EXECUTE FUNCTION break()",
    "answers": "CREATE TRIGGER break BEFORE DELETE ON answers EXECUTE FUNCTION break()",
    "events": "CREATE TRIGGER break BEFORE DELETE ON events EXECUTE FUNCTION break()",
}
LEFT = {
    "bodies": "SELECT count(*) AS number FROM webhooks WHERE body IS NOT NULL",
    "webhooks": "SELECT count(*) AS number FROM webhooks WHERE message_id = 'ancient'",
    "refreshes": "SELECT count(*) AS number FROM refreshes",
    "answers": "SELECT count(*) AS number FROM answers",
    "events": "SELECT count(*) AS number FROM events",
}


async def add_one_of_each(inputs: AllInputs) -> None:
    """Store one row for each step to purge."""
    await stored.execute(
        inputs.engine,
        "INSERT INTO webhooks (app, message_id, received_at, last_received_at, received_count, body) "
        "VALUES ('default', 'old', :old, :old, 1, 'body'), ('default', 'ancient', :ancient, :ancient, 1, NULL)",
        "INSERT INTO refreshes (app, kind, subject_id, ended_at, due_by, outcome) "
        "VALUES ('default', 'flow', 'flow-1', :old, 'sweep', 'unchanged')",
        "INSERT INTO flows (ref, app, status, created_at) "
        "VALUES ('00000000-0000-4000-8000-000000000001', 'default', 'creating', :old)",
        "INSERT INTO answers (flow_ref, version, answered_at, answer) "
        "VALUES ('00000000-0000-4000-8000-000000000001', 1, :old, '{}')",
        old=NOW - 31 * DAY,
        ancient=NOW - 121 * DAY,
    )
    await feeding.feed(inputs.engine, step_events(1, at=NOW - 91 * DAY))


async def left(inputs: AllInputs) -> set[str]:
    """The steps whose row is still there."""
    return {step for step, query in LEFT.items() if (await stored.row(inputs.engine, query))["number"]}


def failed(inputs: AllInputs, step: str) -> float | None:
    """How often the step has failed."""
    return inputs.telemetry.registry.get_sample_value("dots_gateway_failed_purges_total", {"step": step})


@pytest.mark.parametrize("broken", list(BROKEN))
async def test_broken_step_does_not_stop_the_others(
    inputs: AllInputs, logs: list[MutableMapping[str, Any]], broken: str
) -> None:
    """The other steps do their work. The failed one is logged and counted, and the pass raises its error last."""
    await add_one_of_each(inputs)
    await stored.execute(inputs.engine, BREAK, BROKEN[broken])

    with pytest.raises(DBAPIError, match="broken"):
        await purge_expired.purge_expired(inputs, RETENTION)

    assert await left(inputs) == {broken}
    assert failed(inputs, broken) == 1
    assert [(line["event"], line["step"]) for line in logs] == [("purge step failed", broken)]
