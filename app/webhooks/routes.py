"""Stored webhooks for operators: list them, get one, replay one or many."""

import base64
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, StrictBool

from app import cursors
from app.access.key_rows import KeyRecord
from app.access.scopes import RequiredScope
from app.cursors import CursorKind
from app.flows.schemas import Text
from app.settings import DEFAULT_APP
from app.storage.inputs import StorageInputs
from app.web import examples, given
from app.web.lists import After, HasMore, NextCursor
from app.web.moments import Moment
from app.webhooks import replay_webhooks
from app.webhooks.replay_webhooks import Replay
from app.webhooks.webhook_search import (
    WebhookFilter,
    WebhookKey,
    WebhookState,
    WebhookSummary,
)

router = APIRouter(prefix="/v1", tags=["webhooks"])

Operator = Annotated[KeyRecord, Depends(RequiredScope("ops:admin"))]
State = Annotated[
    WebhookState | None,
    Query(description="Only webhooks that are `handled`, `pending`, `failing` (will be retried) or `dead` (given up)."),
]
OfApp = Annotated[Text, Query(description="The Dots app that the webhook was sent to.")]

_CURSOR: CursorKind[WebhookKey] = CursorKind(
    name="webhooks",
    to_parts=lambda key: (cursors.write_time(key.received_at), key.app, key.message_id),
    from_parts=lambda moment, app, message_id: WebhookKey(datetime.fromisoformat(moment), app, message_id),
)


class WebhookResponse(BaseModel):
    """A webhook that Dots sent."""

    model_config = examples.shown(examples.WEBHOOK)

    app: str
    """The Dots app that the webhook was sent to."""
    message_id: str
    """Dots' id of the webhook."""
    event: str | None
    """Dots' name of what happened. Null if the webhook names nothing."""
    subject_kind: Literal["flow", "user"] | None
    """Whether the webhook is about a flow or a user. Null if it is about neither."""
    subject_id: str | None
    """Dots' id of the flow or user. Null if there is none."""
    received_at: datetime
    """When the webhook first arrived (UTC)."""
    last_received_at: datetime
    """When it last arrived (UTC)."""
    received_count: int
    """How many times it arrived."""
    state: WebhookState
    """`handled`, `pending`, `failing` (will be retried) or `dead` (given up)."""
    last_error: str | None
    """Why the last refresh failed, as an error code. Null if it did not fail."""

    @classmethod
    def of(cls, webhook: WebhookSummary) -> Self:
        """Build the response for a stored webhook."""
        return cls.model_validate(asdict(webhook))


class WebhookWithBody(BaseModel):
    """A webhook with its body."""

    model_config = examples.shown({"webhook": examples.WEBHOOK, "body_base64": "eyJldmVudCI6ICJmbG93LnVwZGF0ZWQifQ=="})

    webhook: WebhookResponse
    """The webhook."""
    body_base64: str | None
    """The body as it arrived, in base64. Null after the body has expired."""


class WebhookPage(BaseModel):
    """A page of webhooks, latest first. It may be short or empty and still have a next page."""

    model_config = examples.shown({"webhooks": [examples.WEBHOOK], "next_cursor": examples.PLACE, "has_more": True})

    webhooks: list[WebhookResponse]
    """The webhooks of this page."""
    next_cursor: NextCursor
    has_more: HasMore


class ReplayWebhooksRequest(BaseModel):
    """The webhooks to replay. Every condition must hold."""

    model_config = examples.strict({"state": "dead", "received_from": "2026-11-22T00:00:00Z", "dry_run": False})

    app: Text | None = None
    """Only webhooks of this Dots app. Null: of every app."""
    event: Text | None = None
    """Only webhooks with this name. Null: with any name."""
    subject_id: Text | None = None
    """Only webhooks about this flow or user. Null: about any."""
    state: WebhookState | None = None
    """Only webhooks in this state. Null: in any state."""
    received_from: Moment | None = None
    """Only webhooks that arrived at this time or later. Null: no limit."""
    received_before: Moment | None = None
    """Only webhooks that arrived before this time. Null: no limit."""
    dry_run: StrictBool = True
    """Whether to count the webhooks only and replay nothing."""


class ReplayResponse(BaseModel):
    """How many webhooks match. Their flows and users are due for a refresh now, unless this was a dry run."""

    model_config = examples.shown({"webhooks": 12, "subjects": 3, "dry_run": False, "at_least": False})

    webhooks: int
    """How many webhooks match."""
    subjects: int
    """How many flows and users the matching webhooks are about."""
    dry_run: bool
    """Whether this call only counted."""
    at_least: bool
    """Whether a dry run stopped counting before the end."""

    @classmethod
    def of(cls, done: Replay) -> Self:
        """Build the response for a replay."""
        return cls(webhooks=done.webhooks, subjects=done.subjects, dry_run=done.is_dry_run, at_least=done.is_at_least)


@router.get("/webhooks", operation_id="findWebhooks", summary="Find webhooks")
async def list_webhooks(
    request: Request,
    key: Operator,
    *,
    app: Annotated[Text | None, Query(description="Only webhooks of this Dots app.")] = None,
    event: Annotated[Text | None, Query(description="Only webhooks with this name.")] = None,
    subject_id: Annotated[Text | None, Query(description="Only webhooks about this flow or user.")] = None,
    state: State = None,
    received_from: Annotated[Moment | None, Query(description="Only webhooks that arrived then or later.")] = None,
    received_before: Annotated[Moment | None, Query(description="Only webhooks that arrived before then.")] = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=200, description="The most webhooks on a page.")] = 50,
) -> WebhookPage:
    """Find webhooks, latest first, without their bodies."""
    del key
    wanted = WebhookFilter(
        app=app,
        event=event,
        subject_id=subject_id,
        state=state,
        received_from=received_from,
        received_before=received_before,
    )
    before = None if after is None else _CURSOR.read(after)
    page = await replay_webhooks.list_webhooks(
        given.of(request, StorageInputs).engine, wanted, before=before, limit=limit
    )
    return WebhookPage(
        webhooks=[WebhookResponse.of(webhook) for webhook in page.webhooks],
        next_cursor=page.before and _CURSOR.write(page.before),
        has_more=page.before is not None,
    )


@router.get("/webhooks/{message_id}", operation_id="getWebhook", summary="Get a webhook")
async def get_webhook(request: Request, message_id: str, key: Operator, app: OfApp = DEFAULT_APP) -> WebhookWithBody:
    """Get a webhook with its body."""
    del key
    webhook, body = await replay_webhooks.read_webhook(given.of(request, StorageInputs).engine, app, message_id)
    return WebhookWithBody(
        webhook=WebhookResponse.of(webhook),
        body_base64=None if body is None else base64.b64encode(body).decode(),
    )


@router.post("/webhooks/replay", operation_id="replayWebhooks", summary="Replay webhooks")
async def replay_many(request: Request, request_body: ReplayWebhooksRequest, key: Operator) -> ReplayResponse:
    """Ask Dots again about the flows and users of the matching webhooks, dead ones included."""
    del key
    wanted = WebhookFilter(**request_body.model_dump(exclude={"dry_run"}))
    return ReplayResponse.of(
        await replay_webhooks.replay(given.of(request, StorageInputs), wanted, is_dry_run=request_body.dry_run)
    )


@router.post("/webhooks/{message_id}/replay", operation_id="replayWebhook", summary="Replay a webhook")
async def replay_one(request: Request, message_id: str, key: Operator, app: OfApp = DEFAULT_APP) -> ReplayResponse:
    """Ask Dots again about the flow or user of one webhook."""
    del key
    return ReplayResponse.of(await replay_webhooks.replay_one(given.of(request, StorageInputs), app, message_id))
