"""`dots-gateway events`: lists the feed's events, and publishes them again."""

import json
import os
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from app import settings
from app.brokers import replay_events
from app.errors import InvalidCursorError, NoBrokerError
from app.feed import cloudevents, cursor, read_feed
from app.feed import events as event_types
from app.feed.cursor import Cursor
from app.feed.read_feed import FeedPage
from app.processes import wiring
from app.processes.wiring import Inputs

events = typer.Typer(help="Events: list, publish again.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@events.command("list")
def list_events(
    *,
    after: Annotated[str | None, typer.Option(help="Start after this cursor. Default: at the earliest event.")] = None,
    types: Annotated[str, typer.Option(help="Types and patterns such as `dots.flow.*`, separated by commas.")] = "*",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List events in feed order, without verdicts of background checks: only the API shows those, and audits it."""
    begin, wanted = _cursor(after), _types(types)
    page = wiring.run_with_inputs(lambda inputs: _list(inputs, begin, wanted, limit))
    if as_json:
        listed = [cloudevents.envelope(event) for event in page.events]
        typer.echo(json.dumps({"events": listed, "next_cursor": str(page.cursor), "has_more": page.has_more}))
        return
    table = Table("time", "type", "subject", "sequence", "id")
    for event in page.events:
        occurred = event.occurred_at.isoformat(timespec="seconds")
        table.add_row(occurred, event.type, event.subject, str(event.sequence), str(event.id))
    Console().print(table)
    typer.echo(f"{'More' if page.has_more else 'Later'} events: --after {page.cursor}")


@events.command("replay")
def replay(
    *,
    to: Annotated[Literal["broker"], typer.Option(help="The target: `broker` is the one at EVENT_BROKER_URL.")],
    start: Annotated[str, typer.Option("--from", help="A cursor, or a time (UTC if it has no zone).")],
    as_json: AsJson = False,
) -> None:
    """Publish events again, with the same ids, up to the feed's end. The worker's own publishing is not affected."""
    del to  # There is one target. The option makes the command clear in a shell's history.
    begin = _start(start)
    count = wiring.run_with_inputs(lambda inputs: _replay(inputs, begin))
    typer.echo(json.dumps({"published": count}) if as_json else f"{count} event(s) published.")


def _cursor(text: str | None) -> Cursor | None:
    try:
        return None if text is None else cursor.parse(text)
    except InvalidCursorError as error:
        raise typer.BadParameter(error.detail, param_hint="--after") from None


def _types(text: str) -> frozenset[str]:
    shown = [kind for kind in event_types.TYPES if kind not in event_types.COMPLIANCE_TYPES]
    found = event_types.matching(pattern.strip() for pattern in text.split(",")).intersection(shown)
    if not found:
        raise typer.BadParameter(f"matches none of {', '.join(shown)}", param_hint="--types")
    return found


def _start(text: str) -> Cursor | datetime:
    try:
        return cursor.parse(text)
    except InvalidCursorError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("must be a cursor or a time such as 2026-11-23T10:00", param_hint="--from") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _list(inputs: Inputs, after: Cursor | None, types: frozenset[str], limit: int) -> FeedPage:
    begin = after or await read_feed.earliest(inputs.storage.engine)
    return await read_feed.read_feed(inputs.storage.engine, after=begin, types=types, limit=limit)


async def _replay(inputs: Inputs, start: Cursor | datetime) -> int:
    async with wiring.open_broker(settings.read(os.environ)) as broker:
        if broker is None:
            raise NoBrokerError
        return await replay_events.replay(inputs.storage, broker, start=start)
