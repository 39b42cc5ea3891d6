"""Whether the service lives and can serve, and what it counts. Open, and without a word about any payee."""

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse

from app.access.scopes import Open
from app.errors import GatewayError
from app.server import gateway
from app.upkeep import check_health
from app.web import examples, problems

live_router = APIRouter(tags=["health"], dependencies=[Depends(Open())])
ready_router = APIRouter(tags=["health"], dependencies=[Depends(Open())])
metrics_router = APIRouter(tags=["health"], dependencies=[Depends(Open())])

_COUNTERS: dict[str, Any] = {
    "text/plain": {"example": 'dots_gateway_webhooks_total{app="default",outcome="stored"} 1234.0\n'}
}


class Health(BaseModel):
    """The process can do what was asked about."""

    model_config = examples.shown({"status": "ok"})

    status: Literal["ok"] = "ok"


@live_router.head("/livez", include_in_schema=False)
@live_router.get("/livez")
async def live() -> Health:
    """200 while the process runs."""
    return Health()


@ready_router.head("/readyz", include_in_schema=False)
@ready_router.get(
    "/readyz",
    response_model=Health,
    responses={503: {"description": "The database does not answer, or this process is leaving."}},
)
async def ready(request: Request) -> Response:
    """200 when requests can be served: not while draining, not without the database; whatever Dots does."""
    gate = gateway.of(request)
    if gate.watch.is_closing:
        return problems.problem(503, "draining", "This process is about to end.")
    try:
        await check_health.check_readiness(gate.tools)
    except GatewayError as error:
        return problems.problem(503, error.code, error.detail)
    return JSONResponse(Health().model_dump())


@metrics_router.head("/metrics", include_in_schema=False)
@metrics_router.get("/metrics", response_class=PlainTextResponse, responses={200: {"content": _COUNTERS}})
async def metrics(request: Request) -> Response:
    """The counters, for Prometheus."""
    tools = gateway.tools_of(request)
    await check_health.measure(tools)
    return Response(generate_latest(tools.telemetry.registry), media_type=CONTENT_TYPE_LATEST)
