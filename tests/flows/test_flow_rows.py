"""Stored flows and their steps."""

import asyncio
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots.snapshots import FlowSnapshot
from app.flows import creation_rows, flow_rows
from app.flows.creation_rows import Intent
from app.flows.flow_rows import FlowRecord, StepRecord
from app.flows.rules.progress import Progress
from app.flows.sync_rows import DueBy
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.flows.intents import (
    change,
    intent,
    later,
    snapshot,
)
from tests.storage import stored
from tests.storage.locks import until_waiting

REF = intent().ref


async def begin(engine: AsyncEngine, *intents: Intent) -> None:
    """Write the intent rows."""
    async with database.transaction(engine) as connection:
        for each in intents:
            assert await creation_rows.begin(connection, each)


async def save(
    engine: AsyncEngine,
    said: FlowSnapshot,
    *,
    ref: UUID = REF,
    minutes: int = 0,
    discovered_by: DueBy = "webhook",
    merged: Progress | None = None,
    events_added: int = 0,
) -> None:
    """Merge Dots' answer into a flow and save it, or save this progress."""
    async with database.transaction(engine) as connection:
        known = await flow_rows.lock_ref(connection, "default", ref)
        assert known
        changed = change(known, said, merged=merged, discovered_by=discovered_by, events_added=events_added)
        await flow_rows.save(connection, [changed], now=later(minutes))


async def adopt(engine: AsyncEngine, said: FlowSnapshot, *, app: str = "default", ref: UUID = REF) -> None:
    """Add a flow created elsewhere."""
    async with database.transaction(engine) as connection:
        await flow_rows.add_foreign(connection, app, said, ref=ref, now=later(1))


async def find(engine: AsyncEngine, flow_id: str = "flow-1") -> FlowRecord:
    """Return the flow, which must exist."""
    async with database.transaction(engine) as connection:
        found = await flow_rows.find(connection, flow_id)
    assert found
    return found


def pending(name: str) -> StepRecord:
    """Return a pending step."""
    return StepRecord(name=name, completed_at=None, discovered_by=None)


def done(name: str, *, minutes: int = 0, discovered_by: DueBy = "webhook") -> StepRecord:
    """Return a step that was found completed this many minutes after NOW."""
    return StepRecord(name=name, completed_at=later(minutes), discovered_by=discovered_by)


async def test_flow_is_read_as_it_was_saved(engine: AsyncEngine) -> None:
    """A record has the caller's fields and Dots' fields, with the steps in Dots' order."""
    await begin(engine, intent())
    await save(engine, snapshot(user_id="user-1", payout_link_id="link-1"), minutes=1, events_added=2)

    assert await find(engine) == FlowRecord(
        ref=REF,
        app="default",
        id="flow-1",
        status="open",
        caller="shop",
        reference="payee-17",
        user_id="user-1",
        link="https://my-sandbox.dots.dev/flow/flow-1",
        metadata={"team": "eu"},
        payout_link_id="link-1",
        created_at=NOW,
        completed_at=None,
        refreshed_at=later(1),
        error=None,
        last_sequence=2,
        steps=(pending("compliance"), pending("payout")),
    )


async def test_unknown_flow_is_none(engine: AsyncEngine) -> None:
    """Each way to find a flow returns None for an unknown one."""
    async with database.transaction(engine) as connection:
        found = [
            await flow_rows.find(connection, "flow-1"),
            await flow_rows.lock(connection, "default", "flow-1"),
            await flow_rows.lock_ref(connection, "default", REF),
        ]

    assert found == [None, None, None]


async def test_flow_of_another_app_cannot_be_locked(engine: AsyncEngine) -> None:
    """A refresh cannot write to another app's flow, even with the same id."""
    await begin(engine, intent())
    await save(engine, snapshot())

    async with database.transaction(engine) as connection:
        found = [
            await flow_rows.lock(connection, "eu", "flow-1"),
            await flow_rows.lock_ref(connection, "eu", REF),
        ]

    assert found == [None, None]


async def test_fields_that_dots_leaves_out_stay(engine: AsyncEngine) -> None:
    """An answer without the link and the payout link does not remove them. The caller's metadata always stays."""
    await begin(engine, intent())
    await save(engine, snapshot(payout_link_id="link-1"))
    await save(engine, snapshot(link=None, metadata={"team": "us"}))

    found = await find(engine)

    assert (found.link, found.payout_link_id, found.metadata) == (
        "https://my-sandbox.dots.dev/flow/flow-1",
        "link-1",
        {"team": "eu"},
    )


async def test_step_is_found_once(engine: AsyncEngine) -> None:
    """The first time and the first discovery stay, for steps and for the completion of the flow."""
    await begin(engine, intent())
    await save(engine, snapshot(completed_steps=("payout",)), minutes=1, discovered_by="sweep")
    await save(engine, snapshot(completed_steps=("payout", "compliance")), minutes=2, discovered_by="webhook")
    await save(engine, snapshot(completed_steps=("payout", "compliance")), minutes=3, discovered_by="refresh")

    found = await find(engine)

    assert found.steps == (
        done("compliance", minutes=2, discovered_by="webhook"),
        done("payout", minutes=1, discovered_by="sweep"),
    )
    assert (found.status, found.completed_at, found.refreshed_at) == ("completed", later(2), later(3))


async def test_save_never_unsets_a_step(engine: AsyncEngine) -> None:
    """A completed step stays completed even if the new progress lacks it."""
    await begin(engine, intent())
    await save(engine, snapshot(completed_steps=("compliance",)), minutes=1)

    await save(engine, snapshot(), minutes=2, merged=Progress(steps=("payout", "compliance")))

    assert (await find(engine)).steps == (pending("payout"), done("compliance", minutes=1))


async def test_steps_are_in_dots_order(engine: AsyncEngine) -> None:
    """The steps have Dots' order. Unlisted ones come first."""
    await begin(engine, intent())
    await save(
        engine, snapshot(steps=("onboarding", "payout", "compliance"), completed_steps=("palm-reading", "onboarding"))
    )

    assert [step.name for step in (await find(engine)).steps] == [
        "palm-reading",
        "onboarding",
        "payout",
        "compliance",
    ]


async def test_unlisted_step_passes_no_step_over(engine: AsyncEngine) -> None:
    """A completed unlisted step, such as signing up, does not make listed steps look passed over."""
    await begin(engine, intent())
    await save(engine, snapshot(completed_steps=("onboarding",)))

    assert (await find(engine)).progress.states == ("completed", "pending", "pending")


async def test_flow_is_marked_while_it_waits_only_for_steps_passed_over(engine: AsyncEngine) -> None:
    """The mark is set while only passed-over steps are missing."""
    await begin(engine, intent())
    marks = []
    for completed_steps in ((), ("payout",), ("payout", "compliance")):
        await save(engine, snapshot(completed_steps=completed_steps))
        marks.append((await stored.row(engine, "SELECT waits_for_passed_over FROM flows"))["waits_for_passed_over"])

    assert marks == [False, True, False]


ODD_METADATA: list[tuple[Any, Any]] = [
    (None, None),
    ("a text", "a text"),
    ("", ""),
    ({}, {}),
    ({"a": [1, None, {"b": "ö"}]}, {"a": [1, None, {"b": "ö"}]}),
    # Unstorable metadata is dropped, and the flow is stored.
    ("\x00", None),
    ({"a": "\x00"}, None),
    ({"\ud800": 1}, None),
    ({"a": float("nan")}, None),
    ({"a": [float("-inf")]}, None),
]


async def test_foreign_flow_is_adopted_with_any_metadata(engine: AsyncEngine) -> None:
    """Metadata does not prevent the adoption of a flow."""
    for number, (metadata, _) in enumerate(ODD_METADATA):
        await adopt(engine, snapshot(f"flow-{number}", metadata=metadata), ref=intent(number).ref)

    found = [(await find(engine, f"flow-{number}")).metadata for number in range(len(ODD_METADATA))]
    assert found == [kept for _, kept in ODD_METADATA]


async def test_foreign_flow_has_no_caller(engine: AsyncEngine) -> None:
    """A foreign flow is open and has a user, but no caller and no reference."""
    await adopt(engine, snapshot(user_id="user-1"))

    found = await find(engine)

    assert (found.status, found.user_id, found.caller, found.reference) == ("open", "user-1", None, None)


async def test_adopted_flow_has_dots_creation_time(engine: AsyncEngine) -> None:
    """If Dots gives no time, it is the time of the adoption."""
    await adopt(engine, snapshot("flow-1", created_at=NOW), ref=intent(1).ref)
    await adopt(engine, snapshot("flow-2", created_at=None), ref=intent(2).ref)

    assert [(await find(engine, flow_id)).created_at for flow_id in ("flow-1", "flow-2")] == [NOW, later(1)]


async def test_flow_is_adopted_once(engine: AsyncEngine) -> None:
    """Two workers that adopt a flow at the same time write one row."""
    async with engine.connect() as first:
        await flow_rows.add_foreign(first, "default", snapshot(), ref=intent(1).ref, now=NOW)
        waiting = asyncio.create_task(adopt(engine, snapshot(), ref=intent(2).ref))
        await until_waiting(engine)
        await first.commit()
        await waiting

    assert await stored.rows(engine, "SELECT ref, id FROM flows") == [{"ref": intent(1).ref, "id": "flow-1"}]


async def test_same_id_in_another_app_is_another_flow(engine: AsyncEngine) -> None:
    """Each app has its own ids."""
    await adopt(engine, snapshot(), app="default", ref=intent(1).ref)
    await adopt(engine, snapshot(), app="eu", ref=intent(2).ref)

    assert await stored.count(engine, "flows") == 2
