"""`dots-gateway webhooks`: lists and replays webhooks from Dots."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.processes import wiring
from app.processes.wiring import Inputs
from app.settings import DEFAULT_APP
from app.webhooks import replay_webhooks
from app.webhooks.replay_webhooks import Replay
from app.webhooks.webhook_search import WebhookFilter, WebhookState, WebhookSummary

webhooks = typer.Typer(help="Webhooks from Dots: list, replay.", no_args_is_help=True)

App = Annotated[str | None, typer.Option(help="Only webhooks of this Dots app.")]
Event = Annotated[str | None, typer.Option(help="Only webhooks with this event name of Dots.")]
Subject = Annotated[str | None, typer.Option(help="Only webhooks about the flow or user with this id.")]
State = Annotated[str | None, typer.Option(help="Only handled, pending, failing or dead webhooks.")]
Since = Annotated[datetime | None, typer.Option(help="Only webhooks that arrived at this time (UTC) or later.")]


@webhooks.command("list")
def list_webhooks(
    *,
    app: App = None,
    event: Event = None,
    subject: Subject = None,
    state: State = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List webhooks, latest first."""
    wanted = _wanted(app, event, subject, state, since)
    found = wiring.run_with_inputs(lambda inputs: _list(inputs, wanted, limit))
    if as_json:
        typer.echo(json.dumps([asdict(webhook) for webhook in found], default=str))
        return
    table = Table("received", "message", "event", "about", "times", "state", "error")
    for webhook in found:
        about = f"{webhook.subject_kind}/{webhook.subject_id}" if webhook.subject_id else ""
        received = webhook.received_at.isoformat(timespec="seconds")
        cells = (webhook.message_id, webhook.event or "", about, str(webhook.received_count), webhook.state)
        table.add_row(received, *cells, webhook.last_error or "")
    Console().print(table)


@webhooks.command("replay")
def replay(
    message_id: Annotated[str | None, typer.Argument(help="Only the webhook with this id.")] = None,
    *,
    app: App = None,
    event: Event = None,
    subject: Subject = None,
    state: State = None,
    since: Since = None,
    yes: Annotated[bool, typer.Option("--yes", help="Replay. Without it, only count the webhooks that match.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make the flows and users of one webhook, or of all that match, due for a refresh by a worker."""
    wanted = _wanted(app, event, subject, state, since)
    done = wiring.run_with_inputs(
        lambda inputs: _replay(inputs, message_id, app or DEFAULT_APP, wanted, is_dry_run=not yes)
    )
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    outcome = "would be due; repeat with --yes" if done.is_dry_run else "are due now"
    counted = f"{'At least ' if done.is_at_least else ''}{done.webhooks} webhook(s) match"
    typer.echo(f"{counted}; the {done.subjects} flow(s) and user(s) they are about {outcome}.")


def _wanted(
    app: str | None, event: str | None, subject: str | None, state: str | None, since: datetime | None
) -> WebhookFilter:
    return WebhookFilter(
        app=app,
        event=event,
        subject_id=subject,
        state=_state(state),
        received_from=since and since.replace(tzinfo=UTC),
    )


def _state(text: str | None) -> WebhookState | None:
    match text:
        case None | "handled" | "pending" | "failing" | "dead":
            return text
        case _:
            raise typer.BadParameter("must be handled, pending, failing or dead", param_hint="--state")


async def _list(inputs: Inputs, wanted: WebhookFilter, limit: int) -> list[WebhookSummary]:
    found: list[WebhookSummary] = []
    before = None
    while True:
        # A page may be short although older webhooks match.
        page = await replay_webhooks.list_webhooks(
            inputs.storage.engine, wanted, before=before, limit=limit - len(found)
        )
        found += page.webhooks
        before = page.before
        if before is None or len(found) >= limit:
            return found


async def _replay(
    inputs: Inputs, message_id: str | None, app: str, wanted: WebhookFilter, *, is_dry_run: bool
) -> Replay:
    if message_id is None:
        return await replay_webhooks.replay(inputs.storage, wanted, is_dry_run=is_dry_run)
    if is_dry_run:
        await replay_webhooks.read_webhook(inputs.storage.engine, app, message_id)
        return Replay(webhooks=1, subjects=1, is_dry_run=True)
    return await replay_webhooks.replay_one(inputs.storage, app, message_id)
