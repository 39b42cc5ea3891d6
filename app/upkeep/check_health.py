"""Checks readiness, and updates the gauges."""

from app.brokers import offset_rows
from app.dots import app_rows
from app.errors import DatabaseUnavailableError
from app.storage import database, migrations, start
from app.storage.inputs import StorageInputs
from app.upkeep import delivery_stats, health_stats
from app.upkeep.inputs import UpkeepInputs


async def check_readiness(inputs: StorageInputs) -> None:
    """Raise an error if the api cannot serve requests. Readiness does not depend on Dots.

    Raises DatabaseUnavailableError, DatabaseReadOnlyError, SchemaVersionError, SchemaTakenError.
    """
    async with database.transaction(inputs.engine) as connection:
        migrations.require_current(await migrations.state(connection))
        await start.require_writable(connection)


async def measure(inputs: UpkeepInputs) -> None:
    """Update the gauges. If the database is down, set only `database_up`, to 0."""
    gauges = inputs.telemetry
    now = inputs.clock()
    try:
        async with database.transaction(inputs.engine) as connection:
            overdue_before = now - inputs.verdict_overdue_after
            stats = await health_stats.take(connection, apps=inputs.clients, now=now, overdue_before=overdue_before)
            resting = await health_stats.resting(connection, inputs.clients)
            paused = await app_rows.paused(connection, now)
            sent = await delivery_stats.take(connection, now=now)
            brokers = await offset_rows.broker_states(connection)
    except DatabaseUnavailableError:
        gauges.database_up.set(0)
        return
    gauges.database_up.set(1)
    gauges.due.set(stats.due)
    gauges.due_age.set(stats.oldest_due_seconds)
    gauges.failing.set(stats.failing)
    gauges.unsequenced.set(stats.unsequenced)
    gauges.feed_position.set(stats.feed_position)
    gauges.dead.set(stats.dead)
    gauges.overdue_verdicts.set(stats.overdue_verdicts)
    gauges.checks_to_review.set(stats.checks_to_review)
    gauges.flows_passed_over.set(stats.flows_passed_over)
    gauges.unsettled.set(stats.unsettled_creations)
    gauges.resting.clear()  # Removes apps that are back in the settings.
    for app, count in resting.items():
        gauges.resting.labels(app).set(count)
    for app in inputs.clients:
        gauges.paused.labels(app).set(app in paused)
    gauges.due_deliveries.set(sent.due)
    gauges.due_delivery_age.set(sent.oldest_due_seconds)
    gauges.dead_deliveries.set(sent.dead)
    for state, count in sent.subscriptions.items():
        gauges.subscriptions.labels(state).set(count)
    for broker_state in brokers:
        gauges.broker_lag.labels(broker_state.broker).set(broker_state.lag)
        gauges.broker_failing.labels(broker_state.broker).set(broker_state.failing_since is not None)
