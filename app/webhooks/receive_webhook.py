"""Store verified webhooks before they are acknowledged; those in flight at one moment share one commit."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, NoReturn

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots import webhook_meaning
from app.dots.app_ids import AppIds
from app.dots.signature import Attestation
from app.dots.webhook_meaning import WebhookMeaning
from app.errors import DatabaseUnavailableError, GatewayError, OverloadedError
from app.metrics import Telemetry
from app.storage import database, notifications
from app.storage.notifications import Notifications
from app.storage.subjects import Subject
from app.webhooks import webhook_rows
from app.webhooks.webhook_rows import Webhook

log = structlog.get_logger()

WAITING_LIMIT = 2000
WAITING_LIMIT_BYTES = 64 * 1024 * 1024
BATCH_LIMIT = 256
BATCH_LIMIT_BYTES = 16 * 1024 * 1024
# Each unknown app is logged once, up to this many apps.
FOREIGN_APPS_LOGGED = 100


class Receipt(NamedTuple):
    """The app that a webhook is stored under. `is_foreign`: it belongs to an app that is not in the settings."""

    app: str
    is_foreign: bool


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    webhook: Webhook
    is_stored: asyncio.Future[None]


class WebhookReceiver:
    """The waiting line of one process and its writer; `run` writes until cancelled.

    While one batch is being committed the next one gathers, so that the batches grow with the load and nobody
    waits for company: without load a webhook is a batch of one.
    """

    def __init__(
        self, engine: AsyncEngine, notifications_: Notifications, telemetry: Telemetry, app_ids: AppIds
    ) -> None:
        """Take what is needed; nothing is written before `run`."""
        self._engine = engine
        self._app_ids = app_ids
        self._foreign_apps: set[str] = set()
        self._notifications = notifications_
        self._telemetry = telemetry
        self._line: list[_Waiting] = []
        self._line_bytes = 0
        self._is_waiting = asyncio.Event()

    async def receive(self, app: str, attestation: Attestation, body: bytes, *, received_at: datetime) -> Receipt:
        """Return once a webhook that came to the endpoint of `app` is stored for good; the caller may give up waiting.

        Raises OverloadedError (nothing was stored) or DatabaseUnavailableError (it may have been; a repeat does
        no harm).
        """
        if len(self._line) >= WAITING_LIMIT or self._line_bytes + len(body) > WAITING_LIMIT_BYTES:
            raise OverloadedError
        meaning = webhook_meaning.read(body)
        receipt = self._receipt(app, meaning.api_app_id)
        waiting = _Waiting(
            webhook=_describe(receipt, meaning, attestation, body, received_at),
            is_stored=asyncio.get_running_loop().create_future(),
        )
        self._line.append(waiting)
        self._line_bytes += len(body)
        self._is_waiting.set()
        await waiting.is_stored
        return receipt

    async def run(self) -> NoReturn:
        """Write batch after batch, for ever."""
        while True:
            await self._is_waiting.wait()
            batch = self._next_batch()
            try:
                await self._store([waiting.webhook for waiting in batch])
            except GatewayError as error:
                log.warning("webhooks not stored", count=len(batch), error=error.code)
                _answer(batch, error)
            except Exception:  # A bug here must leave nobody waiting: they are told to repeat, the writer goes on.
                log.exception("webhooks not stored", count=len(batch))
                _answer(batch, DatabaseUnavailableError())
            else:
                _answer(batch, None)

    def _receipt(self, endpoint_app: str, api_app_id: str | None) -> Receipt:
        app = self._app_ids.app_of(endpoint_app, api_app_id)
        if app is not None:
            return Receipt(app, is_foreign=False)
        if api_app_id and api_app_id not in self._foreign_apps and len(self._foreign_apps) < FOREIGN_APPS_LOGGED:
            self._foreign_apps.add(api_app_id)
            log.warning("webhooks of an app that is not in the settings", app=endpoint_app, api_app_id=api_app_id)
        return Receipt(endpoint_app, is_foreign=True)

    def _next_batch(self) -> list[_Waiting]:
        size = 0
        for count, waiting in enumerate(self._line):
            size += len(waiting.webhook.body)
            if count == BATCH_LIMIT or (count and size > BATCH_LIMIT_BYTES):
                break
        else:
            count = len(self._line)
        batch, self._line = self._line[:count], self._line[count:]
        self._line_bytes -= sum(len(waiting.webhook.body) for waiting in batch)
        if not self._line:
            self._is_waiting.clear()
        return batch

    async def _store(self, webhooks: list[Webhook]) -> None:
        async with database.transaction(self._engine) as connection:
            await webhook_rows.store(connection, webhooks)
        self._telemetry.webhook_batch.observe(len(webhooks))
        self._notifications.send(notifications.DUE)


def _describe(
    receipt: Receipt, meaning: WebhookMeaning, attestation: Attestation, body: bytes, received_at: datetime
) -> Webhook:
    """The webhook to store. A foreign one has no subject."""
    subject = None
    if meaning.kind and meaning.subject_id and not receipt.is_foreign:
        subject = Subject(app=receipt.app, kind=meaning.kind, id=meaning.subject_id)
    return Webhook(
        app=receipt.app,
        message_id=attestation.message_id,
        received_at=received_at,
        body=body,
        event=meaning.event,
        subject=subject,
        merged_user_id=meaning.merged_user_id if subject else None,
    )


def _answer(batch: list[_Waiting], error: GatewayError | None) -> None:
    for waiting in batch:
        if waiting.is_stored.done():  # It was given up waiting for.
            continue
        if error is None:
            waiting.is_stored.set_result(None)
        else:
            waiting.is_stored.set_exception(error)
