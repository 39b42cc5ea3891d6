"""Query plans of claims on a filled table, on old and new Postgres: the index, and the number of pages."""

import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.dots import app_rows
from app.flows import due_rows
from app.flows.due_rows import KINDS, AppScan, DueKind
from app.storage import database, migrations
from devstack import embedded_postgres
from tests.databases import fast_directory, run_apart
from tests.dots.fake_dots import NOW
from tests.flows.syncing import MINUTE, TOKEN
from tests.storage import stored

SECOND = timedelta(seconds=1)
INDEXES = {"requested": "sync_rows_requested_due_idx", "sweep": "sync_rows_sweep_due_idx"}

# A fifth is due by request, a fifth is due for a sweep, a fifth will be due, and the others are not due. The
# app `eu` has one row.
FILL = """
    INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen)
    SELECT CASE WHEN number = 2 THEN 'eu' ELSE 'default' END, 'flow', number,
        CASE number % 5
            WHEN 2 THEN CAST(:now AS timestamptz) - number * interval '1 second'
            WHEN 3 THEN CAST(:now AS timestamptz) - number * interval '1 second'
            WHEN 4 THEN CAST(:now AS timestamptz) + number * interval '1 second'
        END,
        CASE WHEN number % 5 = 2 THEN 'webhook' ELSE 'sweep' END, 1
    FROM generate_series(1, 30000) AS number
"""
SCANS = [AppScan(app="default", share=8), AppScan(app="eu", share=8)]
# Postgres may plan a prepared statement for its values or for any values.
MODES = ("force_custom_plan", "force_generic_plan")
# Enough for 16 rows of 30,000: two indexes that are three pages deep, and a page of the table for each row.
FEW_PAGES = 150


@dataclass(frozen=True)
class Plan:
    """A plan's steps on `sync_rows`, each with its index, and the number of pages read."""

    steps: frozenset[tuple[str, str | None]]
    pages: int


@pytest.fixture(scope="module", params=[16, 18])
def filled_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield a migrated database with many rows, on a server of this version."""
    with tempfile.TemporaryDirectory(prefix="dots-gateway-tests-", dir=fast_directory()) as name:
        Path(name).chmod(0o711)  # The server may run as another account.
        with embedded_postgres.running(Path(name), durable=False, version=request.param) as server:
            run_apart(_fill(server.url))
            yield server.url


@pytest.fixture
async def filled(filled_url: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine on the filled database."""
    engine = database.create_engine(filled_url)
    yield engine
    await engine.dispose()


async def _fill(url: str) -> None:
    await migrations.upgrade(url)
    engine = database.create_engine(url)
    try:
        await stored.execute(engine, FILL, now=NOW)
        await stored.execute(engine, "ANALYZE sync_rows")
    finally:
        await engine.dispose()


async def plan_of_count(connection: AsyncConnection, scans: Sequence[AppScan]) -> Plan:
    """Return the plan of counting due rows."""
    return await _explain(connection, due_rows._COUNT.text, {**due_rows._columns(scans), "now": NOW})


async def plan_of_claim(connection: AsyncConnection, scans: Sequence[AppScan], kind: DueKind) -> Plan:
    """Return the plan of claiming due rows."""
    values = {**due_rows._columns(scans), "now": NOW, "lease_until": NOW + MINUTE, "token": TOKEN}
    return await _explain(connection, due_rows._CLAIMS[kind].text, values)


async def _explain(connection: AsyncConnection, statement: str, values: dict[str, Any]) -> Plan:
    said = await connection.scalar(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"), values)
    ((top,),) = [json.loads(said) if isinstance(said, str) else said]
    plan = top["Plan"]
    steps = frozenset(
        (step["Node Type"], step.get("Index Name")) for step in _steps(plan) if step.get("Relation Name") == "sync_rows"
    )
    return Plan(steps=steps, pages=plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def _steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _steps(inner)


@pytest.mark.parametrize("mode", MODES)
async def test_counting_reads_a_few_pages_of_the_index(filled: AsyncEngine, mode: str) -> None:
    """Only the longest due rows of each app are read, from its own part of the index."""
    async with filled.connect() as connection:
        await connection.execute(text(f"SET plan_cache_mode = {mode}"))
        plan = await plan_of_count(connection, SCANS)

    assert plan.steps == {("Index Scan", index) for index in INDEXES.values()}
    assert plan.pages <= FEW_PAGES


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
async def test_claiming_reads_a_few_pages_of_the_index(filled: AsyncEngine, mode: str, kind: DueKind) -> None:
    """The rows are found through one index and updated by their ctid."""
    async with filled.connect() as connection:
        await connection.execute(text(f"SET plan_cache_mode = {mode}"))
        plan = await plan_of_claim(connection, SCANS, kind)
        await connection.rollback()

    assert plan.steps == {("Index Scan", INDEXES[kind]), ("Tid Scan", None), ("ModifyTable", None)}
    assert plan.pages <= FEW_PAGES


async def test_rows_of_a_paused_app_are_not_read(filled: AsyncEngine) -> None:
    """Six thousand rows are due, but only the table of apps is read."""
    async with filled.connect() as connection:
        await app_rows.hold_off(connection, "default", until=NOW + SECOND)
        plan = await plan_of_count(connection, [SCANS[0]])
        await connection.rollback()

    assert plan.pages <= 5


async def test_leased_rows_behind_the_floor_are_not_read(filled: AsyncEngine) -> None:
    """After a worker died with two thousand leases, only a full scan reads them."""
    async with filled.connect() as connection:
        dead = replace(SCANS[0], share=2000)
        rows = await due_rows.claim(
            connection, [dead], kind="requested", now=NOW, lease_until=NOW + MINUTE, token=TOKEN
        )
        full = await plan_of_claim(connection, [SCANS[0]], "requested")
        past = await plan_of_claim(connection, [replace(SCANS[0], requested_floor=rows[-1].due_at)], "requested")
        await connection.rollback()

    assert len(rows) == 2000
    assert past.pages <= FEW_PAGES < full.pages


async def test_dead_entries_behind_the_floor_are_not_read(engine: AsyncEngine) -> None:
    """An open transaction keeps Postgres from removing dead entries. A scan with a floor skips them."""
    await stored.execute(engine, FILL, now=NOW)
    async with engine.connect() as elsewhere:
        await elsewhere.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await elsewhere.execute(text("SELECT count(*) FROM apps"))
        for _ in range(2):  # Six thousand rows become due and are refreshed, twice.
            await stored.execute(engine, "UPDATE sync_rows SET due_at = :now WHERE due_by = 'webhook'", now=NOW)
            await stored.execute(engine, "UPDATE sync_rows SET due_at = NULL WHERE due_by = 'webhook'")
        async with engine.connect() as connection:
            floor = NOW + SECOND
            full = await plan_of_count(connection, [SCANS[0]])
            past = await plan_of_count(connection, [replace(SCANS[0], requested_floor=floor, sweep_floor=floor)])

    assert past.pages <= 20
    assert full.pages >= 400
