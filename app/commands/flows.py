"""`dots-gateway flows`: where payees are, for operators and support at a terminal."""

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

flows = typer.Typer(help="Where payees are: list, show, refresh.", no_args_is_help=True)

App = Annotated[str | None, typer.Option(help="Of this Dots app.")]
Reference = Annotated[str | None, typer.Option(help="With this reference of yours.")]
User = Annotated[str | None, typer.Option(help="Of the user with this id.")]
Status = Annotated[str | None, typer.Option(help="creating, open, completed or failed.")]
Step = Annotated[str | None, typer.Option(help="Open, and this step is not done: pending or passed over.")]
Dead = Annotated[bool, typer.Option("--dead", help="Given up: Dots could not be asked about them for too long.")]
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
    """List flows, newest first; their links, which are secrets, are not shown."""
    wanted = FlowFilter(
        app=app, reference=reference, user_id=user, status=_status(status), step=step, is_dead=dead or None
    )
    found = wiring.run_with_inputs(
        lambda inputs: read_flows.list_flows(inputs.storage.engine, wanted, before=None, limit=limit)
    )
    shapes = [FlowResponse.of(flow, with_link=False) for flow in found]
    if as_json:
        typer.echo(json.dumps([shape.model_dump(mode="json") for shape in shapes]))
        return
    table = Table("created", "flow", "reference", "status", "user", "next step", "done")
    for flow, shape in zip(found, shapes, strict=True):
        next_step = (flow.status == "open" and flow.progress.next_step) or ""
        next_step += " (passed over)" if flow.progress.waits_for_passed_over else ""
        done, needed = flow.progress.step_counts
        created = shape.created_at.isoformat(timespec="seconds")
        cells = (shape.id or "", shape.reference or "", shape.status, shape.user_id or "")
        table.add_row(created, *cells, next_step, f"{done} of {needed}")
    Console().print(table)


@flows.command("show")
def show(flow_id: Annotated[str, typer.Argument(metavar="FLOW", help="Its id.")], *, as_json: AsJson = False) -> None:
    """Tell what happened to a flow, oldest first; what background checks found is shown to API keys only, on record."""
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
    flow_id: Annotated[str | None, typer.Argument(metavar="[FLOW]", help="Only this one.")] = None,
    *,
    app: App = None,
    reference: Reference = None,
    user: User = None,
    status: Status = None,
    step: Step = None,
    dead: Dead = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, all that match are only counted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have a worker ask Dots again about one flow, or every one that matches, given up or not."""
    wanted = FlowFilter(
        id=flow_id, app=app, reference=reference, user_id=user, status=_status(status), step=step, is_dead=dead or None
    )
    asked = wiring.run_with_inputs(
        lambda inputs: request_refreshes.request_refreshes(inputs.flows, wanted, is_dry_run=not yes)
    )
    if as_json:
        typer.echo(json.dumps({"flows": asked.flows, "is_dry_run": not yes, "is_at_least": asked.is_at_least}))
        return
    counted = f"{'At least ' if asked.is_at_least else ''}{asked.flows} flow(s)"
    typer.echo(f"{counted} {'are due now' if yes else 'would be due; repeat with --yes'}.")


def _status(text: str | None) -> str | None:
    if text not in (None, "creating", "open", "completed", "failed"):
        raise typer.BadParameter("must be creating, open, completed or failed", param_hint="--status")
    return text


def _about(entry: Entry) -> str:
    said = {name: value for name, value in entry.model_dump().items() if name not in ("kind", "at")}
    return ", ".join(f"{name}={value}" for name, value in said.items() if value is not None)
