"""The hosted pages at a flow's link: the payee onboards, then completes each step.

Dots documents only the name of `hide_continue_button`. We assume that it replaces the Continue button by the page's
own button (such as "Submit tax details"), which completes the step. A `redirect` has no form, so with a hidden Continue
button the flow's link redirects immediately.
"""

import secrets
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from simulator import loopback
from simulator.errors import RefusalError
from simulator.pages import step_pages, theme
from simulator.simulation import Simulation
from simulator.world import user_changes
from simulator.world.flow import Flow, Step

_HEADERS = {"referrer-policy": "no-referrer", "cache-control": "no-store"}
_STATUSES = ("completed", "completed-saved")
# Query parameters that each page passes to the next: the theme and the session. Browsers do not send the cookie in a
# frame of another site, so the session is also in the URL.
_CARRIED = ("styles", "session")
_SESSION_BYTES = 16


class FlowPages:
    """Shared by the routes below: authentication and rendering."""

    def __init__(self, simulation: Simulation, templates: Jinja2Templates) -> None:
        self._simulation = simulation
        self._templates = templates
        self._sessions: set[tuple[str, str]] = set()

    def show_flow(self, request: Request, flow: Flow) -> Response:
        """The page for the flow's current state."""
        if flow.user_id is None:
            return self.show(request, "phone.html", flow)
        if not self.is_authenticated(request, flow):
            return self.show(request, "code.html", flow)
        step = flow.next_step
        if step is None:
            return self.show(request, "finish.html", flow)
        if step.name == "redirect" and step.hides_continue:
            return self.finish_step(request, flow, step, outcome=None, choice=None)
        saved = self._simulation.world.user(flow.user_id).payout_choice
        chosen = (saved if step.name == "manage-payouts" else None) or "1"
        return self.show(request, "step.html", flow, step=step, page=step_pages.page_of(step), chosen=chosen)

    def show(self, request: Request, template: str, flow: Flow, **further: object) -> Response:
        """Render a page of a flow with its theme. The page reports a completed step to the page that embeds it."""
        carried = _carried(request)
        context = {
            "flow": flow,
            "theme": theme.read(carried.get("styles")),
            "carried": f"?{urlencode(carried)}" if carried else "",
            "reported": _reported(request, flow),
            **further,
        }
        return self._templates.TemplateResponse(request, template, context, headers=_HEADERS)

    def is_authenticated(self, request: Request, flow: Flow) -> bool:
        """Whether the payee needs no code: the link is pre-authenticated, or this browser has entered a code."""
        is_fresh = flow.is_pre_authenticated(self._simulation.clock())
        has_code = (flow.id, request.query_params.get("session")) in self._sessions
        return is_fresh or has_code or request.cookies.get(_cookie(flow)) == "yes"

    def authenticate(self, request: Request, flow: Flow) -> Response:
        """Accept any one-time code. Claims an unclaimed flow."""
        if flow.user_id is None:
            self._simulation.claim(flow)
        session = secrets.token_urlsafe(_SESSION_BYTES)
        self._sessions.add((flow.id, session))
        response = go_to(request, flow, session=session)
        response.set_cookie(_cookie(flow), "yes", path=f"/flow/{flow.id}", httponly=True, samesite="lax")
        return response

    def finish_step(
        self, request: Request, flow: Flow, step: Step, *, outcome: str | None, choice: str | None
    ) -> Response:
        """Complete a step and redirect the browser: to the flow, or to the URL of a `redirect` step."""
        self._simulation.complete(flow, step.name, outcome)
        if step.name == "redirect":
            return _redirect(request, flow, step)
        return go_to(request, flow, over=step.name, status=self._status(flow, step, choice))

    def _status(self, flow: Flow, step: Step, choice: str | None) -> str:
        """The status for the embedding page: `completed`, or `completed-saved` for an unchanged payout method."""
        if step.name != "manage-payouts" or flow.user_id is None or not (choice or "").isdecimal():
            return "completed"
        world = self._simulation.world
        is_changed = user_changes.choose_payout(world, world.user(flow.user_id), str(choice)[:3])
        return "completed" if is_changed else "completed-saved"


def page_router(simulation: Simulation, templates: Jinja2Templates) -> APIRouter:
    """The routes of the hosted pages."""
    router = APIRouter(include_in_schema=False)
    pages = FlowPages(simulation, templates)
    world = simulation.world

    @router.get("/dashboard")
    async def dashboard(request: Request) -> Response:
        return templates.TemplateResponse(request, "dashboard.html")

    @router.get("/flow/{flow_id}")
    async def open_flow(request: Request, flow_id: str) -> Response:
        try:
            flow = world.flow(flow_id)
        except RefusalError:
            return templates.TemplateResponse(request, "missing.html", status_code=HTTPStatus.NOT_FOUND)
        return pages.show_flow(request, flow)

    @router.post("/flow/{flow_id}/phone")
    async def send_code(request: Request, flow_id: str) -> Response:
        # The form does not send the phone number.
        return go_to(request, world.flow(flow_id), "/code")

    @router.get("/flow/{flow_id}/code")
    async def ask_for_code(request: Request, flow_id: str) -> Response:
        return pages.show(request, "code.html", world.flow(flow_id))

    @router.post("/flow/{flow_id}/code")
    async def accept_code(request: Request, flow_id: str) -> Response:
        return pages.authenticate(request, world.flow(flow_id))

    @router.get("/flow/{flow_id}/thanks")
    async def thank(request: Request, flow_id: str) -> Response:
        flow = world.flow(flow_id)
        step = flow.step_named("redirect")
        if step is None or step.name not in flow.done or not loopback.is_loopback_url(step_pages.redirect_url(step)):
            return go_to(request, flow)
        return pages.show(request, "thanks.html", flow, redirect_url=step_pages.redirect_url(step))

    _add_steps(router, simulation, pages)
    return router


def _add_steps(router: APIRouter, simulation: Simulation, pages: FlowPages) -> None:
    """The routes that complete or skip the current step.

    A second click or an old page names another step than the current one, and changes nothing.
    """
    world = simulation.world

    def current(request: Request, flow: Flow, step: str) -> Step | None:
        is_current = flow.next_step is not None and flow.next_step.name == step
        return flow.next_step if is_current and pages.is_authenticated(request, flow) else None

    @router.post("/flow/{flow_id}/complete")
    async def complete_step(
        request: Request,
        flow_id: str,
        step: Annotated[str, Form()],
        outcome: Annotated[str | None, Form()] = None,
        choice: Annotated[str | None, Form()] = None,
    ) -> Response:
        flow = world.flow(flow_id)
        found = current(request, flow, step)
        if found is None:
            return go_to(request, flow)
        return pages.finish_step(request, flow, found, outcome=outcome, choice=choice)

    @router.post("/flow/{flow_id}/skip")
    async def skip_step(request: Request, flow_id: str, step: Annotated[str, Form()]) -> Response:
        flow = world.flow(flow_id)
        if current(request, flow, step) is not None:
            simulation.skip(flow, step)
        return go_to(request, flow)


def go_to(request: Request, flow: Flow, path: str = "", **parameters: str) -> RedirectResponse:
    """Redirect to a page of the flow. Keeps the carried parameters and adds `parameters`."""
    query = urlencode(_carried(request) | parameters)
    target = f"/flow/{flow.id}{path}"
    return RedirectResponse(f"{target}?{query}" if query else target, HTTPStatus.SEE_OTHER, headers=_HEADERS)


def _redirect(request: Request, flow: Flow, step: Step) -> RedirectResponse:
    """Redirect to the step's URL. For a loopback URL, redirect to a page that links to it."""
    url = step_pages.redirect_url(step)
    if loopback.is_loopback_url(url):
        return go_to(request, flow, "/thanks", over=step.name, status="completed")
    return RedirectResponse(url, HTTPStatus.SEE_OTHER, headers=_HEADERS)


def _reported(request: Request, flow: Flow) -> dict[str, str] | None:
    """The completed step to report to the embedding page, or None. Checks the claim in the URL against the flow."""
    step, status = request.query_params.get("over", ""), request.query_params.get("status", "")
    is_true = step in flow.done and step not in flow.skipped and status in _STATUSES
    return {"step": step, "status": status} if is_true else None


def _carried(request: Request) -> dict[str, str]:
    return {name: value for name in _CARRIED if (value := request.query_params.get(name))}


def _cookie(flow: Flow) -> str:
    return f"simulator_code_{flow.id}"
