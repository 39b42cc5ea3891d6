"""How the service is: whether Postgres answers at the right schema, and the numbers for the metrics."""

from app.brokers import offset_rows
from app.dots import app_rows
from app.errors import DatabaseUnavailableError
from app.storage import database, migrations, start
from app.tools import Tools
from app.upkeep import delivery_signs, vital_signs


async def check_readiness(tools: Tools) -> None:
    """Raise an error when requests could not be served; Dots plays no part.

    Raises DatabaseUnavailableError, DatabaseReadOnlyError, SchemaVersionError, SchemaTakenError.
    """
    async with database.transaction(tools.engine) as connection:
        migrations.require_current(await migrations.state(connection))
        await start.require_writable(connection)


async def measure(tools: Tools) -> None:
    """Bring the gauges up to date; without the database only the one that says so."""
    gauges = tools.telemetry
    now = tools.clock()
    try:
        async with database.transaction(tools.engine) as connection:
            overdue_before = now - tools.verdict_overdue_after
            signs = await vital_signs.take(connection, apps=tools.clients, now=now, overdue_before=overdue_before)
            resting = await vital_signs.resting(connection, tools.clients)
            paused = await app_rows.paused(connection, now)
            sent = await delivery_signs.take(connection, now=now)
            brokers = await offset_rows.standings(connection)
    except DatabaseUnavailableError:
        gauges.database_up.set(0)
        return
    gauges.database_up.set(1)
    gauges.due.set(signs.due)
    gauges.due_age.set(signs.oldest_due_seconds)
    gauges.failing.set(signs.failing)
    gauges.unsequenced.set(signs.unsequenced)
    gauges.feed_position.set(signs.feed_position)
    gauges.dead.set(signs.dead)
    gauges.overdue_verdicts.set(signs.overdue_verdicts)
    gauges.checks_to_review.set(signs.checks_to_review)
    gauges.flows_passed_over.set(signs.flows_passed_over)
    gauges.unsettled.set(signs.unsettled_creations)
    gauges.resting.clear()  # An app that has come back does not rest any more.
    for app, count in resting.items():
        gauges.resting.labels(app).set(count)
    for app in tools.clients:
        gauges.paused.labels(app).set(app in paused)
    gauges.due_deliveries.set(sent.due)
    gauges.due_delivery_age.set(sent.oldest_due_seconds)
    gauges.dead_deliveries.set(sent.dead)
    for state, count in sent.subscriptions.items():
        gauges.subscriptions.labels(state).set(count)
    for standing in brokers:
        gauges.broker_lag.labels(standing.broker).set(standing.lag)
        gauges.broker_failing.labels(standing.broker).set(standing.failing_since is not None)
