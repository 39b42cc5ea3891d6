"""What Dots sent, for operators: list, look at one, replay one or many."""

import base64
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, StrictBool

from app import cursors
from app.access.key_rows import KeyRecord
from app.access.scopes import RequiredScope
from app.cursors import CursorKind
from app.flows.schemas import Text
from app.server import gateway
from app.settings import DEFAULT_APP
from app.web import examples
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
    Query(description="`handled`, `pending`, `failing` (tried again later) or `dead` (given up)."),
]

_CURSOR: CursorKind[WebhookKey] = CursorKind(
    name="webhooks",
    to_parts=lambda key: (cursors.write_time(key.received_at), key.app, key.message_id),
    from_parts=lambda moment, app, message_id: WebhookKey(datetime.fromisoformat(moment), app, message_id),
)


class WebhookShape(BaseModel):
    """A stored webhook; `last_error` is the code of what kept its subject from being refreshed."""

    model_config = examples.shown(examples.WEBHOOK)

    app: str
    message_id: str
    event: str | None
    subject_kind: Literal["flow", "user"] | None
    subject_id: str | None
    received_at: datetime
    last_received_at: datetime
    received_count: int
    state: WebhookState
    last_error: str | None

    @classmethod
    def of(cls, webhook: WebhookSummary) -> Self:
        """The shape of a stored webhook."""
        return cls.model_validate(asdict(webhook))


class WebhookWithBody(BaseModel):
    """A stored webhook with its body as it came, in base64; null once it was emptied."""

    model_config = examples.shown({"webhook": examples.WEBHOOK, "body_base64": "eyJldmVudCI6ICJmbG93LnVwZGF0ZWQifQ=="})

    webhook: WebhookShape
    body_base64: str | None


class WebhookPage(BaseModel):
    """Webhooks, latest first; give `next_cursor` as `after` for the next page, null when there is none.

    A page of a rare kind may be short, or empty, and still have a next one.
    """

    model_config = examples.shown({"webhooks": [examples.WEBHOOK], "next_cursor": examples.PLACE, "has_more": True})

    webhooks: list[WebhookShape]
    next_cursor: str | None
    has_more: bool


class ReplayOrder(BaseModel):
    """Which webhooks to replay; a dry run, which is the default, only counts them."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"state": "dead", "received_from": "2026-11-22T00:00:00Z", "dry_run": False}]},
    )

    app: Text | None = None
    event: Text | None = None
    subject_id: Text | None = None
    state: WebhookState | None = None
    received_from: Moment | None = None
    received_before: Moment | None = None
    dry_run: StrictBool = True


class ReplayShape(BaseModel):
    """How many webhooks matched, and how many flows and users they are about; those are due now unless it was dry.

    `at_least` is true when a dry run stopped counting before it had seen every webhook.
    """

    model_config = examples.shown({"webhooks": 12, "subjects": 3, "dry_run": False, "at_least": False})

    webhooks: int
    subjects: int
    dry_run: bool
    at_least: bool

    @classmethod
    def of(cls, done: Replay) -> Self:
        """The shape of a replay."""
        return cls(webhooks=done.webhooks, subjects=done.subjects, dry_run=done.is_dry_run, at_least=done.is_at_least)


@router.get("/webhooks")
async def list_webhooks(
    request: Request,
    key: Operator,
    *,
    app: Text | None = None,
    event: Text | None = None,
    subject_id: Text | None = None,
    state: State = None,
    received_from: Moment | None = None,
    received_before: Moment | None = None,
    after: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
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
    page = await replay_webhooks.list_webhooks(gateway.of(request).tools.engine, wanted, before=before, limit=limit)
    return WebhookPage(
        webhooks=[WebhookShape.of(webhook) for webhook in page.webhooks],
        next_cursor=page.before and _CURSOR.write(page.before),
        has_more=page.before is not None,
    )


@router.get("/webhooks/{message_id}")
async def get_webhook(request: Request, message_id: str, key: Operator, app: Text = DEFAULT_APP) -> WebhookWithBody:
    """One webhook with its body."""
    del key
    webhook, body = await replay_webhooks.read_webhook(gateway.of(request).tools.engine, app, message_id)
    return WebhookWithBody(
        webhook=WebhookShape.of(webhook),
        body_base64=None if body is None else base64.b64encode(body).decode(),
    )


@router.post("/webhooks/replay")
async def replay_many(request: Request, order: ReplayOrder, key: Operator) -> ReplayShape:
    """Ask Dots again about everything the matching webhooks are about, dead letters included."""
    del key
    wanted = WebhookFilter(**order.model_dump(exclude={"dry_run"}))
    return ReplayShape.of(await replay_webhooks.replay(gateway.of(request).tools, wanted, is_dry_run=order.dry_run))


@router.post("/webhooks/{message_id}/replay")
async def replay_one(request: Request, message_id: str, key: Operator, app: Text = DEFAULT_APP) -> ReplayShape:
    """Ask Dots again about what one webhook is about."""
    del key
    return ReplayShape.of(await replay_webhooks.replay_one(gateway.of(request).tools, app, message_id))
