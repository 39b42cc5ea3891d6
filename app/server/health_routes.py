"""Liveness, readiness and metrics. They need no key and say nothing about payees."""

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse

from app.access.scopes import Open
from app.errors import GatewayError
from app.feed.watch_feed import FeedWatch
from app.storage.inputs import StorageInputs
from app.upkeep import check_health
from app.upkeep.inputs import UpkeepInputs
from app.web import examples, given, problems

live_router = APIRouter(tags=["health"], dependencies=[Depends(Open())])
ready_router = APIRouter(tags=["health"], dependencies=[Depends(Open())])
metrics_router = APIRouter(tags=["health"], dependencies=[Depends(Open())])

_COUNTERS: dict[str, Any] = {
    "text/plain": {"example": 'dots_gateway_webhooks_total{app="default",outcome="stored"} 1234.0\n'}
}


class Health(BaseModel):
    """The answer of a healthy process."""

    model_config = examples.shown({"status": "ok"})

    status: Literal["ok"] = "ok"
    """Always `ok`."""


@live_router.head("/livez", include_in_schema=False)
@live_router.get("/livez", operation_id="checkLiveness", summary="Check liveness")
async def live() -> Health:
    """Answers 200 while the process runs."""
    return Health()


@ready_router.head("/readyz", include_in_schema=False)
@ready_router.get(
    "/readyz",
    operation_id="checkReadiness",
    summary="Check readiness",
    response_model=Health,
    responses={503: {"description": "The database does not answer, or this process is stopping."}},
)
async def ready(request: Request) -> Response:
    """Answers 200 unless the process is stopping or cannot reach the database. It does not depend on Dots."""
    if given.of(request, FeedWatch).is_closing:
        return problems.problem(503, "draining", "This process is stopping.")
    try:
        await check_health.check_readiness(given.of(request, StorageInputs))
    except GatewayError as error:
        return problems.problem(503, error.code, error.detail)
    return JSONResponse(Health().model_dump())


@metrics_router.head("/metrics", include_in_schema=False)
@metrics_router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Get the metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": _COUNTERS}},
)
async def metrics(request: Request) -> Response:
    """Returns the metrics in the format of Prometheus."""
    inputs = given.of(request, UpkeepInputs)
    await check_health.measure(inputs)
    return Response(generate_latest(inputs.telemetry.registry), media_type=CONTENT_TYPE_LATEST)
