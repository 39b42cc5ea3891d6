"""`dots-gateway flows`: lists flows, shows their timelines and refreshes them."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.feed.events import COMPLIANCE_TYPES
from app.flows import read_flows, read_timeline, request_refreshes
from app.flows.flow_search import FlowFilter
from app.flows.schemas import FlowResponse
from app.flows.timeline_schemas import Entry, Timeline
from app.processes import wiring

flows = typer.Typer(help="Flows: list, show, refresh.", no_args_is_help=True)

App = Annotated[str | None, typer.Option(help="Only flows of this Dots app.")]
Reference = Annotated[str | None, typer.Option(help="Only flows with this reference.")]
User = Annotated[str | None, typer.Option(help="Only flows of the user with this id.")]
Status = Annotated[str | None, typer.Option(help="Only creating, open, completed or failed flows.")]
Step = Annotated[str | None, typer.Option(help="Only open flows whose step of this name is pending or passed over.")]
Dead = Annotated[bool, typer.Option("--dead", help="Only dead letters: refreshing them failed for too long.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@flows.command("list")
def list_flows(
    *,
    app: App = None,
    reference: Reference = None,
    user: User = None,
    status: Status = None,
    step: Step = None,
    dead: Dead = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List flows, newest first, without their links, which are secrets."""
    wanted = FlowFilter(
        app=app, reference=reference, user_id=user, status=_status(status), step=step, is_dead=dead or None
    )
    found = wiring.run_with_inputs(
        lambda inputs: read_flows.list_flows(inputs.storage.engine, wanted, before=None, limit=limit)
    )
    responses = [FlowResponse.of(flow, with_link=False) for flow in found]
    if as_json:
        typer.echo(json.dumps([response.model_dump(mode="json") for response in responses]))
        return
    table = Table("created", "flow", "reference", "status", "user", "next step", "done")
    for flow, response in zip(found, responses, strict=True):
        next_step = (flow.status == "open" and flow.progress.next_step) or ""
        next_step += " (passed over)" if flow.progress.waits_for_passed_over else ""
        done, needed = flow.progress.step_counts
        created = response.created_at.isoformat(timespec="seconds")
        cells = (response.id or "", response.reference or "", response.status, response.user_id or "")
        table.add_row(created, *cells, next_step, f"{done} of {needed}")
    Console().print(table)


@flows.command("show")
def show(flow_id: Annotated[str, typer.Argument(metavar="FLOW", help="Its id.")], *, as_json: AsJson = False) -> None:
    """Show a flow's timeline, without verdicts of background checks: only the API shows those, and audits it."""
    found = wiring.run_with_inputs(
        lambda inputs: read_timeline.read_timeline(
            inputs.storage.engine, wiring.TIMELINE_NEIGHBOURS, flow_id, with_deliveries=True
        )
    )
    timeline = Timeline.of(found.without(COMPLIANCE_TYPES))
    if as_json:
        typer.echo(timeline.model_dump_json())
        return
    table = Table("time", "what", "about it")
    for entry in timeline.entries:
        table.add_row(entry.at.isoformat(timespec="seconds"), entry.kind, _about(entry))
    Console().print(table)


@flows.command("refresh")
def refresh(
    flow_id: Annotated[str | None, typer.Argument(metavar="[FLOW]", help="Only the flow with this id.")] = None,
    *,
    app: App = None,
    reference: Reference = None,
    user: User = None,
    status: Status = None,
    step: Step = None,
    dead: Dead = False,
    yes: Annotated[bool, typer.Option("--yes", help="Refresh. Without it, only count the flows that match.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make one flow, or all that match, due for a refresh by a worker. Dead letters are included."""
    wanted = FlowFilter(
        id=flow_id, app=app, reference=reference, user_id=user, status=_status(status), step=step, is_dead=dead or None
    )
    requested = wiring.run_with_inputs(
        lambda inputs: request_refreshes.request_refreshes(inputs.flows, wanted, is_dry_run=not yes)
    )
    if as_json:
        typer.echo(json.dumps({"flows": requested.flows, "is_dry_run": not yes, "is_at_least": requested.is_at_least}))
        return
    counted = f"{'At least ' if requested.is_at_least else ''}{requested.flows} flow(s)"
    typer.echo(f"{counted} {'are due now' if yes else 'would be due; repeat with --yes'}.")


def _status(text: str | None) -> str | None:
    if text not in (None, "creating", "open", "completed", "failed"):
        raise typer.BadParameter("must be creating, open, completed or failed", param_hint="--status")
    return text


def _about(entry: Entry) -> str:
    fields = {name: value for name, value in entry.model_dump().items() if name not in ("kind", "at")}
    return ", ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
