"""The replacements for functions, statements and values of the product that make planted bugs."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import TextClause, select, text, tuple_

from app.brokers import publish_feed
from app.brokers.publish_batch import Outcome
from app.dots.signature import Refusal
from app.errors import SignatureRefusedError
from app.flows import flow_rows
from app.flows.rules.progress import ProgressDiff
from app.flows.tables import flows
from app.storage import failures
from app.storage.failures import Meaning
from app.storage.subjects import Subject
from app.subscriptions.push.answers import Answer
from app.webhooks.receive_webhook import Receipt
from tests.faults.campaigns.replacing import Change


def sql(*changes: tuple[str, str]) -> Change:
    """Change a statement: replace each pattern, which must occur once, by the text beside it."""

    def change(statement: TextClause | str) -> TextClause | str:
        written = " ".join((statement if isinstance(statement, str) else statement.text).split())
        for pattern, replacement in changes:
            written, count = re.subn(pattern, replacement, written)
            if count != 1:
                raise ValueError(f"{pattern!r} occurs {count} times in {written!r}")
        return written if isinstance(statement, str) else text(written)

    return change


def always(value: Any) -> Change:
    """Replace anything by this value."""
    return lambda _original: value


def _in_background(call: Any) -> None:
    """Start the call and do not wait for it. Its errors are ignored."""
    task = asyncio.ensure_future(call)
    _running.add(task)
    task.add_done_callback(_forget)


_running: set[asyncio.Future[Any]] = set()


def _forget(ended: asyncio.Future[Any]) -> None:
    _running.discard(ended)
    if not ended.cancelled():
        ended.exception()


async def _commit(connection: Any) -> None:
    await connection.exec_driver_sql("COMMIT")
    await connection.exec_driver_sql("BEGIN")


def acknowledge_first(receive: Callable[..., Any]) -> Callable[..., Any]:
    """Answer a webhook before it is stored."""

    async def acknowledge(self: Any, app: str, *arguments: Any, **named: Any) -> Receipt:
        _in_background(receive(self, app, *arguments, **named))
        return Receipt(app, is_foreign=False)

    return acknowledge


def parse_body(receive: Callable[..., Any]) -> Callable[..., Any]:
    """Store the parsed body of a webhook instead of the received bytes."""

    async def parse(self: Any, app: str, attestation: Any, body: bytes, **named: Any) -> Any:
        parsed = json.dumps(json.loads(body), separators=(",", ":")).encode()
        return await receive(self, app, attestation, parsed, **named)

    return parse


def commit_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """Commit before the call, and continue in a second transaction."""

    async def commit_first(connection: Any, *arguments: Any, **named: Any) -> Any:
        await _commit(connection)
        return await function(connection, *arguments, **named)

    return commit_first


def commit_afterwards(function: Callable[..., Any]) -> Callable[..., Any]:
    """Commit after the call, and continue in a second transaction."""

    async def commit_afterwards(connection: Any, *arguments: Any, **named: Any) -> Any:
        result = await function(connection, *arguments, **named)
        await _commit(connection)
        return result

    return commit_afterwards


def skip_early_ages(next_refresh: Callable[..., Any]) -> Callable[..., Any]:
    """Refresh only at the long interval, never early."""
    return lambda polls, **named: next_refresh(replace(polls, ages=()), **named)


def lock_nothing(_locked: Callable[..., Any]) -> Callable[..., Any]:
    """Read a flow without its row lock."""

    async def read(connection: Any, is_it: Any) -> Any:
        return await flow_rows._one(connection, select(*flow_rows.FIELDS).where(is_it))

    return read


def lock_and_read_at_once(_locked: Callable[..., Any]) -> Callable[..., Any]:
    """Read the steps in the statement that waits for the lock."""

    async def lock(connection: Any, is_it: Any) -> Any:
        return await flow_rows._one(connection, select(*flow_rows.FIELDS).where(is_it).with_for_update())

    return lock


def lock_free_and_read_at_once(_lock_free: Callable[..., Any]) -> Callable[..., Any]:
    """Read the steps of many flows in the statement that locks them."""

    async def lock_free(connection: Any, wanted: Any) -> Any:
        keys = tuple_(flows.c.app, flows.c.id).in_([(each.app, each.id) for each in wanted])
        in_order = select(*flow_rows.FIELDS).where(keys).order_by(flows.c.created_at, flows.c.ref)
        rows = await connection.execute(in_order.with_for_update(skip_locked=True))
        return {Subject(app=row.app, kind="flow", id=row.id): flow_rows.record(row) for row in rows}

    return lock_free


def take_old(read: Callable[..., datetime]) -> Callable[..., datetime]:
    """Accept timestamps of up to twice the tolerance."""

    def read_old(self: Any, timestamp: bytes, now: datetime) -> datetime:
        try:
            return read(self, timestamp, now)
        except SignatureRefusedError as error:
            if error.detail != Refusal.TIMESTAMP_TOO_OLD:
                raise
        return read(self, timestamp, now - timedelta(seconds=self._tolerance_seconds))

    return read_old


def keep_newest_key(make: Callable[..., None]) -> Callable[..., None]:
    """Verify with the first key only."""
    return lambda self, keys, *arguments: make(self, keys[:1], *arguments)


def pause_at_once(_are_refused: Callable[..., Any]) -> Callable[..., Any]:
    """Pause the app without a trial of its credentials."""

    async def pause(self: Any) -> bool:
        await self.gate.pause()
        return True

    return pause


def forget_nothing(_forget: Callable[..., Any]) -> Callable[..., Any]:
    """Do nothing."""

    async def keep(*_arguments: Any) -> None:
        pass

    return keep


def believe_latest(merge: Callable[..., ProgressDiff]) -> Callable[..., ProgressDiff]:
    """Take back steps that a snapshot leaves out."""

    def believe(known: Any, snapshot: Any, **named: Any) -> ProgressDiff:
        diff = merge(known, snapshot, **named)
        reported = tuple(dict.fromkeys(snapshot.completed_steps))
        return replace(diff, progress=replace(diff.progress, completed=reported))

    return believe


def answer_for_subscriber(push: Callable[..., Any]) -> Callable[..., Any]:
    """Report success while the request is still in flight."""

    async def answer(self: Any, *arguments: Any) -> Answer:
        _in_background(push(self, *arguments))
        return Answer(status=204, error=None, retry_after=None, took=timedelta(0))

    return answer


def move_first(claim: Callable[..., Any]) -> Callable[..., Any]:
    """Move the broker's cursor before anything is published."""

    async def claim_and_move(inputs: Any, *arguments: Any) -> Any:
        batch = await claim(inputs, *arguments)
        if batch is not None:
            await publish_feed._move(inputs, batch, Outcome(prefix=len(batch.events), published=0, error=None))
        return batch

    return claim_and_move


def trust_read_only(judge: Callable[..., None]) -> Callable[..., None]:
    """Keep sessions that have become read-only."""

    def judge_others(self: Any, context: Any) -> None:
        error = context.sqlalchemy_exception or context.original_exception
        if failures.meaning_of_error(error) != Meaning.READ_ONLY:
            judge(self, context)

    return judge_others
