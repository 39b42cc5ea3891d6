"""Statements use indexes and read few pages, on both embedded versions of Postgres."""

import tempfile
from pathlib import Path

import pytest

from app.storage import database, migrations
from devstack import embedded_postgres
from tests.databases import fast_directory
from tests.storage import plan_cases, plan_rows, plans


@pytest.mark.parametrize("version", [16, 18])
async def test_hot_statements_use_indexes_and_read_few_pages(version: int) -> None:
    """Each reads a bounded number of pages, with a custom and with a generic plan. Postgres 16 has no skip scan."""
    with (
        tempfile.TemporaryDirectory(prefix="dots-gateway-plans-", dir=fast_directory()) as directory,
        embedded_postgres.running(Path(directory), durable=False, version=version) as postgres,
    ):
        await migrations.upgrade(postgres.url)
        engine = database.create_engine(postgres.url)
        await plan_rows.fill(engine)

        faults = [fault for case in plan_cases.CASES for fault in await plans.faults(engine, case)]

        await engine.dispose()
    assert faults == []
