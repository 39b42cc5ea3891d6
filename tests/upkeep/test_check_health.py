from datetime import timedelta

import pytest

from app.errors import DatabaseUnavailableError
from app.flows.refresh_due import refresh_due
from app.storage import database
from app.subscriptions import manage_subscriptions
from app.upkeep import check_health
from tests.all_inputs import AllInputs, HandClock, inputs_over
from tests.dots.fake_dots import NOW
from tests.dots.memory_dots import MemoryDots, flow_id_of, refusal
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.flows.due import flow, make_due
from tests.storage import stored
from tests.subscriptions.subscribing import sequence, subscribe


def gauge(inputs: AllInputs, name: str, **labels: str) -> float | None:
    """The value of a gauge."""
    return inputs.telemetry.registry.get_sample_value(f"dots_gateway_{name}", labels)


async def test_gauges_count_waiting_rows(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """The gauges show due and failing rows, the age of the oldest, the feed's position and unfinished creations."""
    await feeding.feed(inputs.engine, step_events(2))
    await feeding.append(inputs.engine, step_events(1, flow_id="flow-2"))
    await make_due(inputs, flow(flow_id_of(1)))
    await refresh_due(inputs, limit=1)
    await make_due(inputs, flow(flow_id_of(2)), due_at=NOW + timedelta(seconds=30))
    await make_due(inputs, flow(flow_id_of(3)), due_at=NOW + timedelta(hours=1))
    await stored.execute(
        inputs.engine,
        "INSERT INTO flows (ref, app, status, created_at, attempted_at) "
        "VALUES (gen_random_uuid(), 'default', 'creating', :at, :at)",
        at=NOW,
    )
    clock.advance(timedelta(seconds=90))

    await check_health.measure(inputs)

    assert dots.requests
    assert gauge(inputs, "database_up") == 1
    assert gauge(inputs, "due") == 2
    assert gauge(inputs, "oldest_due_seconds") == 88
    assert gauge(inputs, "failing") == 1
    assert gauge(inputs, "unsequenced_events") == 1
    assert gauge(inputs, "feed_position") == 2
    assert gauge(inputs, "unsettled_creations") == 1


async def test_gauge_shows_a_paused_app(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """The gauge is 1 while Dots refuses the credentials of the app. It stays 0 when Dots only limits the rate."""
    for number in (1, 2):
        dots.add_flow(number)
    dots.faults = [refusal(401, "unauthorized")] * 2
    await make_due(inputs, flow(flow_id_of(1)))
    await refresh_due(inputs, limit=1)
    await check_health.measure(inputs)
    paused = (gauge(inputs, "app_paused", app="default"), gauge(inputs, "app_paused", app="eu"))
    clock.advance(timedelta(minutes=1))
    await refresh_due(inputs, limit=1)
    await check_health.measure(inputs)
    resumed = gauge(inputs, "app_paused", app="default")
    dots.faults = [refusal(429, "slow-down")]
    await make_due(inputs, flow(flow_id_of(2)))
    await refresh_due(inputs, limit=1)
    await check_health.measure(inputs)

    assert (paused, resumed, gauge(inputs, "app_paused", app="default")) == ((1, 0), 0, 0)


async def test_gauges_count_subscriptions_and_deliveries(inputs: AllInputs) -> None:
    """The gauges show subscriptions by state, and the due deliveries of the active ones."""
    await subscribe(inputs, "http://127.0.0.1:9/a")
    paused = await subscribe(inputs, "http://127.0.0.1:9/b")
    await manage_subscriptions.pause_subscription(inputs, paused.subscription.id)
    await feeding.append(inputs.engine, step_events(2))
    await sequence(inputs)

    await check_health.measure(inputs)

    assert gauge(inputs, "subscriptions", state="active") == 1
    assert gauge(inputs, "subscriptions", state="caller") == 1
    assert gauge(inputs, "subscriptions", state="failing") == 0
    assert gauge(inputs, "due_deliveries") == 1
    assert gauge(inputs, "dead_deliveries") == 0


async def test_gauges_show_the_lag_of_a_broker(inputs: AllInputs) -> None:
    """The gauges show how many events the broker has not confirmed, and whether publishing fails."""
    await feeding.feed(inputs.engine, step_events(3))
    await stored.execute(
        inputs.engine,
        "INSERT INTO broker_offsets (broker, epoch, position, failing_since, last_error) "
        "SELECT 'nats://host:4222', epoch, 1, :at, 'TimeoutError' FROM feed",
        at=NOW,
    )

    await check_health.measure(inputs)

    assert gauge(inputs, "broker_lag", broker="nats://host:4222") == 2
    assert gauge(inputs, "broker_failing", broker="nats://host:4222") == 1


async def test_gauge_shows_that_the_database_is_down(clock: HandClock, unused_tcp_port: int) -> None:
    """Without Postgres, `measure` sets `database_up` to 0, and the readiness check raises an error."""
    engine = database.create_engine(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none")
    inputs = inputs_over(engine, clock, {})

    await check_health.measure(inputs)
    with pytest.raises(DatabaseUnavailableError):
        await check_health.check_readiness(inputs)

    await engine.dispose()
    assert gauge(inputs, "database_up") == 0


async def test_rows_of_an_app_that_is_not_in_the_settings_have_their_own_gauge(inputs: AllInputs) -> None:
    """They do not count as due, however old they are. The gauge disappears when the app is back in the settings."""
    await make_due(inputs, flow("flow-1", app="us"), due_at=NOW - timedelta(days=1))
    await check_health.measure(inputs)
    resting = (gauge(inputs, "due"), gauge(inputs, "oldest_due_seconds"), gauge(inputs, "resting", app="us"))
    await stored.execute(inputs.engine, "UPDATE sync_rows SET app = 'default'")
    await check_health.measure(inputs)

    assert resting == (0, 0, 1)
    assert (gauge(inputs, "due"), gauge(inputs, "resting", app="us")) == (1, None)
