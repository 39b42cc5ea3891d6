"""The AsyncAPI document and the JSON Schemas of events. They need no key."""

from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import JSONResponse

from app.access.scopes import Open
from app.feed import event_schemas
from app.server import asyncapi

router = APIRouter(tags=["contracts"], dependencies=[Depends(Open())])


class SchemaResponse(JSONResponse):
    """A JSON Schema."""

    media_type = "application/schema+json"


_ASYNCAPI: dict[str, Any] = {
    "application/json": {
        "schema": {"type": "object", "required": ["asyncapi", "info"]},
        "example": {"asyncapi": "3.0.0", "info": {"title": "dots-gateway", "version": "1.1"}},
    }
}
_SCHEMA: dict[str, Any] = {
    "application/schema+json": {
        "schema": {"type": "object", "required": ["$schema", "$id"]},
        "example": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"{event_schemas.PREFIX}flow.completed/v1.json",
            "type": "object",
        },
    }
}


@router.get(
    "/asyncapi.json",
    operation_id="getAsyncapi",
    summary="Get the AsyncAPI document",
    response_class=JSONResponse,
    responses={200: {"content": _ASYNCAPI}},
)
async def get_asyncapi(request: Request) -> JSONResponse:
    """The AsyncAPI document describes every event and every way to receive it."""
    return JSONResponse(asyncapi.document(version=request.app.version))


@router.get(
    "/schemas/events/{name}/{version}.json",
    operation_id="getEventSchema",
    summary="Get the schema of an event",
    response_class=SchemaResponse,
    responses={200: {"content": _SCHEMA}},
)
async def get_event_schema(name: str, version: str) -> SchemaResponse:
    """The JSON Schema of an event's `data`. `dataschema` names it: `urn:dots-gateway:schemas/<name>/<version>.json`."""
    schema = event_schemas.published().get(f"{name}/{version}.json")
    if schema is None:
        raise HTTPException(404, "There is no such schema.")
    return SchemaResponse(schema)
