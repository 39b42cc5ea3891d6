"""`dots-gateway subscriptions`: manages subscriptions and their deliveries."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Column, Table

from app.errors import InvalidFieldsError
from app.feed import events
from app.processes import wiring
from app.processes.wiring import Inputs
from app.subscriptions import manage_secrets, manage_subscriptions, read_deliveries, redeliver, send_test_event
from app.subscriptions.delivery_search import DeliveryFilter, DeliverySummary
from app.subscriptions.redeliver import RedeliveryRequest
from app.subscriptions.rules import subscriptions as rules
from app.subscriptions.rules.subscriptions import DeliveryState, Subscription, SubscriptionRequest

subscriptions = typer.Typer(
    help="Subscriptions: create, list, show, pause, resume, rotate-secret, test, deliveries, redeliver, delete.",
    no_args_is_help=True,
)

CALLER = "operator"
UUID_CHARACTERS = 36
_ONCE = "Store it now: it is not shown again."

Id = Annotated[UUID, typer.Argument(metavar="SUBSCRIPTION", help="The id of the subscription.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000)]
Types = Annotated[list[str] | None, typer.Option("--type", help="A type or pattern. Repeat it for more. Default: all.")]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The number of events of a whole redelivery: delivered before (`again`), and never delivered (`fresh`)."""

    again: int
    fresh: int
    is_dry_run: bool


@subscriptions.command("create")
def create(
    url: Annotated[str, typer.Argument(help="The URL to send events to. SUBSCRIBERS_ALLOWED must allow it.")],
    *,
    types: Types = None,
    app: Annotated[str | None, typer.Option(help="Only events of this Dots app.")] = None,
    description: Annotated[str | None, typer.Option(help="A text for people.")] = None,
    with_compliance: Annotated[bool, typer.Option(help="Include events of background checks.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a subscription, and print the secret that verifies its signatures."""
    request = SubscriptionRequest(
        url=url, types=types or ["*"], app=app, description=description, with_compliance=with_compliance
    )
    made = wiring.run_with_inputs(
        lambda inputs: manage_subscriptions.create_subscription(inputs.subscriptions, request, caller=CALLER)
    )
    if as_json:
        typer.echo(json.dumps({**_describe(made.subscription), "secret": made.secret}))
    else:
        typer.echo(f"Subscription {made.subscription.id}\n{made.secret}\n\n{_ONCE}")


@subscriptions.command("list")
def list_all(*, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List subscriptions, newest first, without their secrets."""
    found = wiring.run_with_inputs(
        lambda inputs: manage_subscriptions.list_subscriptions(inputs.storage.engine, before=None, limit=limit)
    )
    if as_json:
        typer.echo(json.dumps([_describe(subscription) for subscription in found]))
        return
    table = _table("id", "url", "types", "app", "status", "failing since")
    for each in found:
        failing = each.failing_since.isoformat(timespec="seconds") if each.failing_since else ""
        table.add_row(str(each.id), each.url, " ".join(each.types), each.app or "every", _status(each), failing)
    Console().print(table)


@subscriptions.command("show")
def show(subscription_id: Id, *, as_json: AsJson = False) -> None:
    """Show a subscription."""
    _show(
        wiring.run_with_inputs(
            lambda inputs: manage_subscriptions.read_subscription(inputs.storage.engine, subscription_id)
        ),
        as_json=as_json,
    )


@subscriptions.command("pause")
def pause(subscription_id: Id, *, as_json: AsJson = False) -> None:
    """Pause a subscription. Its deliveries wait until it is resumed."""
    _show(
        wiring.run_with_inputs(
            lambda inputs: manage_subscriptions.pause_subscription(inputs.subscriptions, subscription_id)
        ),
        as_json=as_json,
    )


@subscriptions.command("resume")
def resume(subscription_id: Id, *, as_json: AsJson = False) -> None:
    """Resume a subscription. Its deliveries are due now, and its earlier failures no longer count."""
    _show(
        wiring.run_with_inputs(
            lambda inputs: manage_subscriptions.resume_subscription(inputs.subscriptions, subscription_id)
        ),
        as_json=as_json,
    )


@subscriptions.command("rotate-secret")
def rotate_secret(subscription_id: Id, *, as_json: AsJson = False) -> None:
    """Replace the secret of a subscription, and print the new one. The old one also signs for 24 hours."""
    rotated = wiring.run_with_inputs(lambda inputs: manage_secrets.rotate_secret(inputs.subscriptions, subscription_id))
    if as_json:
        typer.echo(json.dumps(asdict(rotated), default=str))
    else:
        until = rotated.previous_until.isoformat(timespec="seconds")
        typer.echo(f"{rotated.secret}\n\n{_ONCE} The old secret also signs until {until}.")


@subscriptions.command("test")
def send_test(subscription_id: Id, *, as_json: AsJson = False) -> None:
    """Send an event of the type `dots.subscription.test` now. Exit status 1: it was not delivered."""
    answer = wiring.run_with_inputs(
        lambda inputs: send_test_event.send_test_event(inputs.subscriptions, subscription_id)
    )
    took_ms = round(answer.took.total_seconds() * 1000)
    if as_json:
        typer.echo(json.dumps({"status": answer.status, "error": answer.error, "took_ms": took_ms}))
    else:
        typer.echo(f"{'Not delivered: ' + answer.error if answer.error else 'Delivered'}, after {took_ms} ms.")
    if answer.error:
        raise typer.Exit(1)


@subscriptions.command("deliveries")
def deliveries(
    subscription_id: Id,
    *,
    state: Annotated[str | None, typer.Option(help="Only pending, delivered or dead deliveries.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries, latest events first, without verdicts of background checks: only the API shows those."""
    # The audit of such reads names an API key, and a terminal has none.
    types = rules.allowed_types(with_compliance=False)
    wanted = DeliveryFilter(subscription_id=subscription_id, types=types, state=_state(state))
    found = wiring.run_with_inputs(lambda inputs: _latest(inputs, wanted, limit))
    if as_json:
        typer.echo(json.dumps([asdict(delivery) for delivery in found], default=str))
        return
    table = _table("event", "type", "about", "state", "made", "failed", "error")
    for each in found:
        made = each.created_at.isoformat(timespec="seconds")
        cells = (str(each.event_id), each.type, each.subject, each.state, made, str(each.failed_attempts))
        table.add_row(*cells, each.last_error or "")
    Console().print(table)


@subscriptions.command("redeliver")
def redeliver_events(
    subscription_id: Id,
    event_id: Annotated[UUID | None, typer.Argument(metavar="[EVENT]", help="Only the event with this id.")] = None,
    *,
    since: Annotated[datetime | None, typer.Option(help="Events that occurred at this time (UTC) or later.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Events that occurred before this time (UTC).")] = None,
    types: Types = None,
    yes: Annotated[bool, typer.Option("--yes", help="Redeliver. Without it, --since only counts the events.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send one event again, or all events since a time. They may be older than the subscription."""
    if (event_id is None) == (since is None):
        raise typer.BadParameter("give either the id of one event, or --since", param_hint="EVENT")
    if event_id is not None:
        wiring.run_with_inputs(lambda inputs: redeliver.redeliver_one(inputs.subscriptions, subscription_id, event_id))
        typer.echo(json.dumps({"event_id": str(event_id)}) if as_json else f"Event {event_id} is due now.")
    elif since is not None:
        wanted_events = RedeliveryRequest(types=_types(types), since=_utc(since), until=until and _utc(until))
        done = wiring.run_with_inputs(
            lambda inputs: _redeliver(inputs, subscription_id, wanted_events, is_dry_run=not yes)
        )
        if as_json:
            typer.echo(json.dumps(asdict(done)))
            return
        outcome = "would be due; repeat with --yes" if done.is_dry_run else "are due now"
        typer.echo(f"{done.again + done.fresh} event(s), {done.fresh} of them for the first time, {outcome}.")


@subscriptions.command("delete")
def delete(subscription_id: Id) -> None:
    """Delete a subscription with its secrets and its deliveries."""
    wiring.run_with_inputs(
        lambda inputs: manage_subscriptions.delete_subscription(inputs.subscriptions, subscription_id)
    )
    typer.echo(f"Subscription {subscription_id} is deleted.")


async def _redeliver(
    inputs: Inputs, subscription_id: UUID, wanted_events: RedeliveryRequest, *, is_dry_run: bool
) -> Totals:
    again = fresh = 0
    after: int | None = wanted_events.after
    while after is not None:
        done = await redeliver.redeliver(
            inputs.subscriptions, subscription_id, replace(wanted_events, after=after), is_dry_run=is_dry_run
        )
        again, fresh, after = again + done.count.again, fresh + done.count.fresh, done.next_after
    return Totals(again=again, fresh=fresh, is_dry_run=is_dry_run)


async def _latest(inputs: Inputs, wanted: DeliveryFilter, limit: int) -> list[DeliverySummary]:
    """Read pages of matching deliveries, latest first, until there are `limit`."""
    found: list[DeliverySummary] = []
    before: int | None = None
    while True:
        left = limit - len(found)
        page = await read_deliveries.list_deliveries(inputs.storage.engine, wanted, before=before, limit=left)
        found += page.deliveries
        before = page.next_before
        if before is None or len(found) == limit:
            return found


def _types(patterns: list[str] | None) -> frozenset[str]:
    wanted = patterns or ["*"]
    if problems := rules.check_types(wanted, with_compliance=True):
        raise InvalidFieldsError(problems)
    return events.matching(wanted)


def _state(text: str | None) -> DeliveryState | None:
    match text:
        case None | "pending" | "delivered" | "dead":
            return text
        case _:
            raise typer.BadParameter("must be pending, delivered or dead", param_hint="--state")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _table(of_ids: str, *names: str) -> Table:
    """Make a table whose ids are never cut. The other columns wrap instead."""
    return Table(Column(of_ids, min_width=UUID_CHARACTERS), *(Column(name, overflow="fold") for name in names))


def _show(subscription: Subscription, *, as_json: bool) -> None:
    described = _describe(subscription)
    if as_json:
        typer.echo(json.dumps(described))
        return
    for name, value in described.items():
        typer.echo(f"{name:<16} {' '.join(value) if isinstance(value, list) else value or ''}")


def _describe(subscription: Subscription) -> dict[str, object]:
    fields: dict[str, object] = json.loads(json.dumps(asdict(subscription), default=str))
    return {"id": fields.pop("id"), "status": _status(subscription), **fields}


def _status(subscription: Subscription) -> str:
    return f"paused ({subscription.paused_by})" if subscription.is_paused else "active"
