"""The hosted pages at a flow's link: a person onboards, then walks through each step.

`hide_continue_button` is meant for steps whose own form already ends them, so we take it as: no Continue button,
and the page's own action (such as "Submit tax details") completes the step and walks on. A `redirect` has no
form, so with Continue hidden it redirects as soon as it is reached. Assumption; Dots documents only the name.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from simulator.errors import RefusalError
from simulator.pages import step_pages
from simulator.simulation import Simulation
from simulator.world import payee
from simulator.world.flow import Flow, Step

_HEADERS = {"referrer-policy": "no-referrer", "cache-control": "no-store"}


class FlowPages:
    """What the routes below share: who is authenticated, and how a page is shown."""

    def __init__(self, simulation: Simulation, templates: Jinja2Templates) -> None:
        self._simulation = simulation
        self._templates = templates

    def show_flow(self, request: Request, flow: Flow) -> Response:
        """The page the payee has to see now."""
        if flow.user_id is None:
            return self.show(request, "phone.html", flow)
        if not self.is_authenticated(request, flow):
            return self.show(request, "code.html", flow)
        step = flow.next_step
        if step is None:
            return self.show(request, "finish.html", flow)
        if step.name == "redirect" and step.hides_continue:
            return self.finish_step(flow, step, outcome=None)
        return self.show(request, "step.html", flow, step=step, page=step_pages.page_of(step))

    def show(self, request: Request, template: str, flow: Flow, **further: object) -> Response:
        """Render a page of a flow."""
        context = {"flow": flow, **further}
        return self._templates.TemplateResponse(request, template, context, headers=_HEADERS)

    def is_authenticated(self, request: Request, flow: Flow) -> bool:
        """Whether no one-time code is needed: a fresh pre-authenticated link, or a browser that gave a code."""
        is_fresh = flow.is_pre_authenticated(self._simulation.clock())
        return is_fresh or request.cookies.get(_cookie(flow)) == "yes"

    def authenticate(self, flow: Flow) -> Response:
        """Take a one-time code for right; a flow without a user gets one."""
        simulation = self._simulation
        if flow.user_id is None:
            simulation.announce(payee.claim(simulation.world, flow, now=simulation.clock()))
        response = _go_to_flow(flow)
        response.set_cookie(_cookie(flow), "yes", path=f"/flow/{flow.id}", httponly=True, samesite="lax")
        return response

    def finish_step(self, flow: Flow, step: Step, *, outcome: str | None) -> Response:
        """Complete a step and send the browser on: to the flow again, or where a `redirect` leads."""
        simulation = self._simulation
        happenings = payee.complete(
            simulation.world,
            flow,
            step.name,
            outcome=outcome,
            unknowns=simulation.unknowns,
            now=simulation.clock(),
        )
        simulation.announce(happenings)
        if step.name == "redirect":
            return RedirectResponse(step_pages.redirect_url(step), HTTPStatus.SEE_OTHER, headers=_HEADERS)
        return _go_to_flow(flow)


def page_router(simulation: Simulation, templates: Jinja2Templates) -> APIRouter:
    """The routes of the hosted pages."""
    router = APIRouter(prefix="/flow", include_in_schema=False)
    pages = FlowPages(simulation, templates)
    world = simulation.world

    @router.get("/{flow_id}")
    async def open_flow(request: Request, flow_id: str) -> Response:
        try:
            flow = world.flow(flow_id)
        except RefusalError:
            return templates.TemplateResponse(request, "missing.html", status_code=HTTPStatus.NOT_FOUND)
        return pages.show_flow(request, flow)

    @router.post("/{flow_id}/phone")
    async def send_code(flow_id: str) -> Response:
        # The phone number is not even in the form: nobody is called.
        return RedirectResponse(f"/flow/{world.flow(flow_id).id}/code", HTTPStatus.SEE_OTHER)

    @router.get("/{flow_id}/code")
    async def ask_for_code(request: Request, flow_id: str) -> Response:
        return pages.show(request, "code.html", world.flow(flow_id))

    @router.post("/{flow_id}/code")
    async def accept_code(flow_id: str) -> Response:
        return pages.authenticate(world.flow(flow_id))

    @router.post("/{flow_id}/complete")
    async def complete_step(
        request: Request,
        flow_id: str,
        step: Annotated[str, Form()],
        outcome: Annotated[str | None, Form()] = None,
    ) -> Response:
        flow = world.flow(flow_id)
        current = flow.next_step
        # A second click, or a page left open, finds another step than the one it shows: it changes nothing.
        if current is None or current.name != step or not pages.is_authenticated(request, flow):
            return _go_to_flow(flow)
        return pages.finish_step(flow, current, outcome=outcome)

    return router


def _go_to_flow(flow: Flow) -> RedirectResponse:
    return RedirectResponse(f"/flow/{flow.id}", HTTPStatus.SEE_OTHER, headers=_HEADERS)


def _cookie(flow: Flow) -> str:
    return f"simulator_code_{flow.id}"
