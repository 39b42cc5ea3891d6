"""Fills a migrated database with the history of a busy service, and keeps the result for the next run."""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Text, Uuid, bindparam, text

from app import settings
from app.feed import event_rows
from app.processes import wiring
from app.storage import database, migrations
from app.subscriptions import manage_subscriptions
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.rules.subscriptions import SubscriptionRequest
from bench import (
    growth_delivery_statements,
    growth_flow_statements,
    growth_settings,
    growth_sizes,
    growth_webhook_statements,
)
from bench.databases import NotComparableError, connected, database_url
from bench.growth_sizes import Sizes

# The receivers answer well (`/well`) or never (`/failing`); the third subscription is paused.
WELL, FAILING, PAUSED = "dots.flow.step_completed", "dots.flow.completed", "dots.flow.created"
SUBSCRIPTIONS = {WELL: "/well", FAILING: "/failing", PAUSED: "/paused"}
# Only the fill uses these settings. It must be fast, and can start again after a crash.
WHILE_FILLING = {"max_wal_size": "'16GB'", "checkpoint_timeout": "'1h'", "autovacuum": "off"}
TYPES: Mapping[type, Any] = {int: BigInteger, str: Text, UUID: Uuid}
SESSION = "SET synchronous_commit = off; SET jit = off; SET work_mem = '256MB'"


def template_name(sizes: Sizes) -> str:
    """The name of the database, derived from everything that its content depends on: schema, statements, size, day."""
    parts = [
        *growth_flow_statements.FUNCTIONS,
        *growth_flow_statements.STATEMENTS,
        *growth_delivery_statements.STATEMENTS,
        growth_webhook_statements.WEBHOOKS,
        migrations.head(),
        repr(sizes.parameters),
        datetime.now(UTC).date().isoformat(),
    ]
    return f"growth_template_{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"


async def remove_leftovers(server_url: str) -> None:
    """Drop the databases of earlier runs, except those that were filled today."""
    today = datetime.now(UTC).date().isoformat()
    async with connected(server_url) as connection:
        found = await connection.execute(
            text("SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname ~ '^growth_'")
        )
        for name, filled_on in found.all():
            if filled_on != today:
                await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def ensure_template(server_url: str, sizes: Sizes) -> str:
    """Return the name of a filled database. Creates it unless an earlier run of today did."""
    name = template_name(sizes)
    half_made = f"{name}_half_made"
    async with connected(server_url) as connection:
        if await connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}):
            return name
        await connection.execute(text(f'CREATE DATABASE "{half_made}"'))
        await _configure(server_url, WHILE_FILLING)
        began = time.monotonic()
        try:
            await fill(database_url(server_url, half_made), sizes)
        finally:
            await _configure(server_url, dict.fromkeys(WHILE_FILLING, "DEFAULT"))
        today = datetime.now(UTC).date().isoformat()
        await connection.execute(text(f"COMMENT ON DATABASE \"{half_made}\" IS '{today}'"))
        await connection.execute(text(f'ALTER DATABASE "{half_made}" RENAME TO "{name}"'))
    print(
        f"filled {sizes.webhooks:,} webhooks and {sizes.flows:,} flows in {time.monotonic() - began:.0f} s", flush=True
    )
    return name


async def _configure(server_url: str, values: Mapping[str, str]) -> None:
    async with connected(server_url) as connection:
        for name, value in values.items():
            await connection.execute(text(f"ALTER SYSTEM SET {name} = {value}"))
        await connection.execute(text("SELECT pg_reload_conf()"))


async def fill(url: str, sizes: Sizes) -> None:
    """Migrate the database and fill it: webhooks on one connection, the rest beside them on another."""
    await migrations.upgrade(url)
    webhooks = (growth_webhook_statements.WEBHOOKS,)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_execute(url, webhooks, {**sizes.parameters, "rare_event": growth_sizes.RARE_EVENT}))
        tasks.create_task(_fill_the_rest(url, sizes))
    async with connected(url) as connection:
        await connection.execute(text("VACUUM (ANALYZE, PARALLEL 2)"))
        await connection.execute(text("CHECKPOINT"))
    await _check_feed(url)


async def _fill_the_rest(url: str, sizes: Sizes) -> None:
    await _execute(url, growth_flow_statements.STATEMENTS, sizes.parameters)
    await _execute(url, (growth_flow_statements.FEED,), {})
    async with wiring.open_inputs(settings.read(growth_settings.service(url).environment)) as inputs:
        for kind, path in SUBSCRIPTIONS.items():
            subscription_id = await _subscribe(inputs.subscriptions, kind, path)
            await _execute(
                url,
                growth_delivery_statements.STATEMENTS,
                {
                    "subscription_id": subscription_id,
                    "type": kind,
                    "deliveries": sizes.flows // 2,
                    "pending": min(2000, sizes.flows // 100) if kind == FAILING else 0,
                    "dead_every": 3000,
                },
            )


async def _subscribe(inputs: SubscriptionInputs, kind: str, path: str) -> UUID:
    request = SubscriptionRequest(url=f"http://127.0.0.1:9{path}", types=(kind,))
    made = await manage_subscriptions.create_subscription(inputs, request, caller="bench")
    if kind == PAUSED:
        await manage_subscriptions.pause_subscription(inputs, made.subscription.id)
    return made.subscription.id


async def _execute(url: str, statements: Sequence[str], parameters: Mapping[str, Any]) -> None:
    async with connected(url) as connection:
        for setting in SESSION.split(";"):
            await connection.execute(text(setting))
        for function in growth_flow_statements.FUNCTIONS:
            await connection.execute(text(function))
        for statement in statements:
            query = text(statement)
            # Without a type, Postgres may infer different types for different uses of a parameter.
            typed = [
                bindparam(name, parameters[name], TYPES[type(parameters[name])]) for name in query.compile().params
            ]
            await connection.execute(query.bindparams(*typed))


async def _check_feed(url: str) -> None:
    """Raise `NotComparableError` if the service does not see the events that were filled in."""
    engine = database.create_engine(url)
    try:
        async with database.transaction(engine) as connection:
            stored = await connection.scalar(text("SELECT count(*) FROM events"))
            last_position = (await event_rows.state(connection)).last_position
    finally:
        await engine.dispose()
    if stored != last_position:
        raise NotComparableError(f"{stored} events were filled in, but the feed ends at {last_position}")
