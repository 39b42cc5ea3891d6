"""The overview for developers: flows, users, webhook attempts and knobs."""

from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from simulator import dots_json
from simulator.pages import knob_tables
from simulator.simulation import Simulation
from simulator.world import user_changes, verdict

_SHOWN = 50


def index_router(simulation: Simulation, templates: Jinja2Templates) -> APIRouter:
    """The overview and its buttons, which do the same as `/_control`."""
    router = APIRouter(include_in_schema=False)
    world = simulation.world

    @router.get("/")
    async def overview(request: Request) -> Response:
        return templates.TemplateResponse(request, "overview.html", _overview(simulation))

    @router.post("/overview/complete-next")
    async def complete_next(flow_id: Annotated[str, Form()]) -> Response:
        flow = world.flow(flow_id)
        if flow.user_id is None:
            simulation.claim(flow)
        elif flow.next_step is not None:
            simulation.complete(flow, flow.next_step.name)
        return _back()

    @router.post("/overview/verdict")
    async def set_verdict(user_id: Annotated[str, Form()], word: Annotated[str, Form()]) -> Response:
        check = verdict.background_check(word, unknowns=simulation.unknowns, now=simulation.clock())
        simulation.announce(user_changes.set_check(world, world.user(user_id), check))
        return _back()

    return router


def _back() -> RedirectResponse:
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


def _overview(simulation: Simulation) -> dict[str, Any]:
    """The context of the overview: the newest flows, users and attempts, newest first."""
    log = simulation.sender.log
    world, public_url = simulation.world, simulation.settings.public_url
    flows = islice(reversed(world.flows.values()), _SHOWN)
    return {
        "flows": [(flow, dots_json.flow_link(flow, public_url=public_url)) for flow in flows],
        "users": list(islice(reversed(world.users.values()), _SHOWN)),
        "attempts": list(islice(reversed(log.attempts), _SHOWN)),
        "bodies": {key: message.body.decode(errors="replace") for key, message in log.messages.items()},
        "endpoints": simulation.sender.endpoints,
        "under_way": simulation.sender.under_way,
        "knobs": knob_tables.tables(simulation.panel.current),
        "totals": {"flows": len(world.flows), "users": len(world.users), "attempts": len(log.attempts)},
    }
