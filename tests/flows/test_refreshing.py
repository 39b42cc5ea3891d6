from datetime import timedelta

from app.flows.refresh_due import PassResult, refresh_due, refresh_now
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import NOW, USER
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.flows.due import (
    event_types,
    flow,
    make_due,
    sync_row,
)
from tests.storage import stored

FLOW = flow(flow_id_of(1))
EVERYTHING = ("flows", "flow_steps", "users", "events", "refreshes")


async def test_refresh_appends_the_events_in_order(inputs: AllInputs, dots: MemoryDots) -> None:
    """One refresh reports the claim, the steps and the completion, once and in this order."""
    made = dots.add_flow(1, steps=["compliance", "payout"])
    await make_due(inputs, FLOW)
    await refresh_due(inputs, limit=10)
    made |= {"completed_steps": ["onboard", "compliance", "payout"], "user_id": USER}
    await make_due(inputs, FLOW)

    step_counts = await refresh_due(inputs, limit=10)

    events = await stored.rows(
        inputs.engine, "SELECT type, sequence, data->>'step' AS step FROM events ORDER BY row_id"
    )
    assert step_counts == PassResult(claimed=1, failed=0)
    assert [tuple(event.values()) for event in events] == [
        ("dots.flow.created", 1, None),
        ("dots.flow.claimed", 2, None),
        ("dots.flow.step_completed", 3, "onboard"),
        ("dots.flow.step_completed", 4, "compliance"),
        ("dots.flow.step_completed", 5, "payout"),
        ("dots.flow.completed", 6, None),
    ]


async def test_same_snapshot_adds_no_event(inputs: AllInputs, dots: MemoryDots) -> None:
    """Another refresh with the same snapshot is logged as unchanged."""
    dots.add_flow(1, completed_steps=["compliance"])
    for _ in range(3):
        await make_due(inputs, FLOW)
        await refresh_due(inputs, limit=10)

    outcomes = await stored.rows(inputs.engine, "SELECT outcome FROM refreshes ORDER BY id")
    assert [row["outcome"] for row in outcomes] == ["changed", "unchanged", "unchanged"]
    assert (await event_types(inputs)).count("dots.flow.completed") == 1


async def test_older_snapshot_takes_nothing_back(inputs: AllInputs, dots: MemoryDots) -> None:
    """The state stays as it is, and the anomaly is counted."""
    made = dots.add_flow(1, steps=["compliance", "payout"], completed_steps=["compliance", "payout"], user_id=USER)
    await make_due(inputs, FLOW)
    await refresh_due(inputs, limit=10)
    made |= {"completed_steps": ["compliance"], "user_id": None}
    await make_due(inputs, FLOW)
    await refresh_due(inputs, limit=10)

    flow_row = await stored.row(inputs.engine, "SELECT status, user_id FROM flows")
    done = await stored.rows(inputs.engine, "SELECT name FROM flow_steps WHERE completed_at IS NOT NULL")
    anomalies = inputs.telemetry.registry.get_sample_value("dots_gateway_anomalies_total", {"app": "default"})
    assert flow_row == {"status": "completed", "user_id": USER}
    assert {row["name"] for row in done} == {"compliance", "payout"}
    assert anomalies == 1


async def test_open_flow_is_swept_by_its_age(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Sweeps follow the flow's age and end with its completion."""
    made = dots.add_flow(1, created=NOW.isoformat())
    await make_due(inputs, FLOW)
    ages = []
    for _ in range(5):
        await refresh_due(inputs, limit=10)
        clock.now = (await sync_row(inputs, FLOW))["due_at"]
        ages.append(clock.now - NOW)
    made["completed_steps"] = ["compliance"]
    await refresh_due(inputs, limit=10)
    row = await sync_row(inputs, FLOW)
    discovered = await stored.row(inputs.engine, "SELECT discovered_by FROM flow_steps")

    assert ages == [
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(days=1),
    ]
    assert row["due_at"] is None
    assert discovered == {"discovered_by": "sweep"}


async def test_webhook_during_a_call_causes_another_refresh(inputs: AllInputs, dots: MemoryDots) -> None:
    """Dots' answer may be older than the webhook, so the flow stays due."""
    made = dots.add_flow(1)
    await make_due(inputs, FLOW)

    async def receive_webhook() -> None:
        dots.on_request = None
        await make_due(inputs, FLOW)

    dots.on_request = receive_webhook
    await refresh_due(inputs, limit=10)
    between = await sync_row(inputs, FLOW)
    made["completed_steps"] = ["compliance"]
    second = await refresh_due(inputs, limit=10)

    assert (between["clean_gen"], between["dirty_gen"], between["due_at"]) == (1, 2, NOW)
    assert second == PassResult(claimed=1, failed=0)
    assert (await sync_row(inputs, FLOW))["clean_gen"] == 2
    assert "dots.flow.completed" in await event_types(inputs)


async def test_worker_without_its_lease_stores_nothing(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A worker that was too slow writes neither state nor events nor a log row."""
    made = dots.add_flow(1, completed_steps=["compliance", "background-check"], user_id=USER)
    await make_due(inputs, FLOW)
    counts: dict[str, int] = {}

    async def take_over() -> None:
        """Refresh with another worker while the first one waits for Dots."""
        dots.on_request = None
        made["completed_steps"] = []
        clock.advance(timedelta(seconds=60))
        await refresh_due(inputs, limit=10)
        counts.update({table: await stored.count(inputs.engine, table) for table in EVERYTHING})
        made["completed_steps"] = ["compliance", "background-check"]

    dots.on_request = take_over
    step_counts = await refresh_due(inputs, limit=10)

    assert step_counts == PassResult(claimed=1, failed=1)
    assert {table: await stored.count(inputs.engine, table) for table in EVERYTHING} == counts
    assert await event_types(inputs) == ["dots.flow.created"]
    assert (await sync_row(inputs, FLOW))["lease_token"] is None


async def test_no_transaction_is_open_while_dots_is_asked(inputs: AllInputs, dots: MemoryDots) -> None:
    """A refresh claims, calls Dots and stores the answer in separate steps."""
    dots.add_flow(1)
    await make_due(inputs, FLOW)
    found: list[dict[str, object]] = []

    async def record_transactions() -> None:
        open_ones = (
            "SELECT state FROM pg_stat_activity "
            "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
        found.extend(await stored.rows(inputs.engine, open_ones))
        found.append({"lease_until": (await sync_row(inputs, FLOW))["lease_until"]})

    dots.on_request = record_transactions
    await refresh_due(inputs, limit=10)

    assert found == [{"lease_until": NOW + timedelta(seconds=60)}]


async def test_refresh_now_does_not_wait_its_turn(inputs: AllInputs, dots: MemoryDots) -> None:
    """A manual refresh asks about a flow that is due later."""
    dots.add_flow(1, completed_steps=["compliance"])
    await make_due(inputs, FLOW, due_at=NOW + timedelta(hours=6), due_by="sweep")

    is_asked = await refresh_now(inputs, FLOW)

    assert is_asked
    assert await stored.row(inputs.engine, "SELECT discovered_by FROM flow_steps") == {"discovered_by": "refresh"}


async def test_refresh_now_does_not_repeat_a_running_refresh(inputs: AllInputs, dots: MemoryDots) -> None:
    """During another refresh it makes no call, and the flow stays due."""
    dots.add_flow(1)
    await make_due(inputs, FLOW)
    answers: list[bool] = []

    async def ask_too() -> None:
        dots.on_request = None
        answers.append(await refresh_now(inputs, FLOW))

    dots.on_request = ask_too
    await refresh_due(inputs, limit=10)

    row = await sync_row(inputs, FLOW)
    assert answers == [False]
    assert len(dots.requests) == 1
    assert (row["dirty_gen"], row["clean_gen"], row["due_at"]) == (2, 1, NOW)
