"""The web application: the API, the pages and the control API of one simulation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from simulator import guards
from simulator.api.middleware import ApiMiddleware
from simulator.api.routes import create_api
from simulator.control.flow_routes import flow_router
from simulator.control.knob_routes import knob_router
from simulator.control.published_routes import published_router
from simulator.control.state_routes import state_router
from simulator.control.user_routes import user_router
from simulator.control.webhook_routes import webhook_router
from simulator.errors import RefusalError
from simulator.pages import flow_pages, index_page
from simulator.pages.rendering import STATIC_DIRECTORY, page_templates
from simulator.simulation import Simulation


def create_app(simulation: Simulation) -> FastAPI:
    """The simulator as an ASGI application. Its shutdown closes the simulation."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await simulation.close()

    app = FastAPI(title="dots-simulator", lifespan=lifespan, docs_url="/docs", redoc_url=None)
    app.router.routes.append(Mount("/api", ApiMiddleware(create_api(simulation), simulation)))
    app.mount("/static", StaticFiles(directory=STATIC_DIRECTORY))
    app.add_middleware(guards.HostCheck, allowed=guards.allowed_hosts(simulation.settings))
    guarded = [Depends(guards.control_guard(simulation.settings))]
    control = APIRouter(prefix="/_control", dependencies=guarded)
    for router in (flow_router, user_router, webhook_router, published_router, knob_router, state_router):
        control.include_router(router(simulation))
    app.include_router(control)
    templates = page_templates()
    app.include_router(flow_pages.page_router(simulation, templates))
    app.include_router(index_page.index_router(simulation, templates), dependencies=guarded)
    app.exception_handler(RefusalError)(_refused)
    return app


async def _refused(_request: Request, failure: RefusalError) -> JSONResponse:
    """The control API's answer to a request that it refuses."""
    return JSONResponse({"detail": failure.message, "error_code": failure.error_code}, failure.status)
