"""The routes of the simulated Dots API.

Source: https://docs.dots.dev (API reference), read 2026-11-23 through dots-api.md §2 and §3.
"""

import json
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from simulator import dots_json
from simulator.api import answers
from simulator.errors import RefusalError, invalid_input
from simulator.simulation import Simulation
from simulator.world import apps, flow_creation, flow_listing, flow_request
from simulator.world.flow import Flow

_LIMIT_MAXIMUM = 100
_DEFAULT_LIMIT = 10
"""The page size without `limit`. An assumption: Dots does not document it."""

_CREATE_PATHS = ("/v2/flows", "/v2/flow/create")


def _acts_for(api_app_id: Annotated[str | None, Header()] = None) -> str:
    """The app named by the call's `Api-App-Id` header."""
    return apps.of_header(api_app_id)


_App = Annotated[str, Depends(_acts_for)]


def create_api(simulation: Simulation) -> FastAPI:
    """The API as a separate application, so that all its errors have Dots' format."""
    api = FastAPI(title="Dots (simulated)", redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(api, simulation)
    _add_flows(api, simulation)

    async def get_user(user_id: str, app: _App) -> dict[str, Any]:
        return dots_json.user_object_by_id(simulation.world, user_id.lower(), app, simulation.unknowns)

    for path in _both("/v2/users/{user_id}"):
        api.get(path)(get_user)
    return api


def _add_flows(api: FastAPI, simulation: Simulation) -> None:
    def written(flow: Flow) -> dict[str, Any]:
        public_url = simulation.settings.public_url
        return dots_json.flow_object(flow, public_url=public_url, unknowns=simulation.unknowns)

    async def create_flow(request: Request, app: _App) -> Response:
        flow_to_create = flow_request.read(_decoded(await request.body()), simulation.unknowns)
        flow = flow_creation.create(
            simulation.world,
            flow_to_create,
            unknowns=simulation.unknowns,
            now=simulation.clock(),
            api_app_id=app,
        )
        return JSONResponse(written(flow), simulation.unknowns.create_status)

    async def get_flow(flow_id: str, app: _App) -> dict[str, Any]:
        return written(dots_json.flow_of_app(simulation.world, flow_id.lower(), app, simulation.unknowns))

    async def list_flows(
        app: _App, limit: str | None = None, starting_after: str | None = None, ending_before: str | None = None
    ) -> dict[str, Any]:
        flows = [flow for flow in simulation.world.flows.values() if flow.api_app_id == app]
        if simulation.unknowns.list_order == "newest_first":
            flows.reverse()
        page, has_more = flow_listing.page(
            flows,
            limit=_limit(limit),
            starting_after=starting_after,
            ending_before=ending_before,
        )
        return {"data": [written(flow) for flow in page], "has_more": has_more}

    for path in _CREATE_PATHS:
        for either in _both(path):
            api.post(either)(create_flow)
    for either in _both("/v2/flows"):
        api.get(either)(list_flows)
    for either in _both("/v2/flows/{flow_id}"):
        api.get(either)(get_flow)


def _add_errors(api: FastAPI, simulation: Simulation) -> None:
    async def answer_error(_request: Request, failure: Exception) -> Response:
        if isinstance(failure, RefusalError):
            return answers.error(
                simulation.unknowns,
                status=failure.status,
                error_code=failure.error_code,
                message=failure.message,
            )
        status = failure.status_code if isinstance(failure, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
        phrase = HTTPStatus(status).phrase
        error_code = phrase.lower().replace(" ", "-")
        return answers.error(simulation.unknowns, status=status, error_code=error_code, message=phrase)

    api.exception_handler(RefusalError)(answer_error)
    api.exception_handler(HTTPException)(answer_error)


def _both(path: str) -> tuple[str, str]:
    """The path without and with a trailing slash: Dots' guides use both."""
    return path, f"{path}/"


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise invalid_input("The request body must be JSON") from None


def _limit(value: str | None) -> int:
    if value is None:
        return _DEFAULT_LIMIT
    if not value.isdecimal() or not 1 <= int(value) <= _LIMIT_MAXIMUM:
        raise invalid_input(f"limit: must be between 1 and {_LIMIT_MAXIMUM}")
    return int(value)
