"""Stores verified webhooks before they are acknowledged. Webhooks that arrive together share one commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, NoReturn

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots import webhook_meaning
from app.dots.app_ids import AppIds
from app.dots.signature import Attestation
from app.dots.webhook_meaning import WebhookMeaning
from app.metrics import Telemetry
from app.storage import database, notifications
from app.storage.dedicated_session import DedicatedSession
from app.storage.group_commit import GroupCommit
from app.storage.notifications import Notifications
from app.storage.subjects import Subject
from app.webhooks import webhook_rows
from app.webhooks.webhook_rows import Webhook

log = structlog.get_logger()

WAITING_LIMIT = 2000
WAITING_LIMIT_BYTES = 64 * 1024 * 1024
BATCH_LIMIT = 256
BATCH_LIMIT_BYTES = 16 * 1024 * 1024
# The log names each unknown app once, up to this many apps.
FOREIGN_APPS_LOGGED = 100


class Receipt(NamedTuple):
    """The app that a webhook is stored under. `is_foreign`: it belongs to an app that is not in the settings."""

    app: str
    is_foreign: bool


class WebhookReceiver:
    """Stores the webhooks of one process by group commit, on connections that nothing else uses."""

    def __init__(
        self, engine: AsyncEngine, notifications_: Notifications, telemetry: Telemetry, app_ids: AppIds
    ) -> None:
        """Prepare to store webhooks. Nothing is written before `run`."""
        sessions = database.sessions_of(engine)
        self._session = None if sessions.has_transaction_pooler else DedicatedSession(sessions)
        self._engine = database.separate_engine(engine)
        self._app_ids = app_ids
        self._foreign_apps: set[str] = set()
        self._notifications = notifications_
        self._telemetry = telemetry
        self._group = GroupCommit(
            self._store,
            name="webhooks",
            size_of=lambda webhook: len(webhook.body),
            waiting_limit=WAITING_LIMIT,
            waiting_limit_bytes=WAITING_LIMIT_BYTES,
            batch_limit=BATCH_LIMIT,
            batch_limit_bytes=BATCH_LIMIT_BYTES,
        )

    async def receive(self, app: str, attestation: Attestation, body: bytes, *, received_at: datetime) -> Receipt:
        """Store a webhook that came to the endpoint of `app`. Returns after the commit. May be cancelled.

        Raises OverloadedError (the webhook is not stored) or DatabaseUnavailableError (it may be stored; a repeat does
        no harm).
        """
        meaning = webhook_meaning.read(body)
        receipt = self._receipt(app, meaning.api_app_id)
        webhook = _describe(receipt, meaning, attestation, body, received_at)
        await self._group.submit(webhook)
        return receipt

    async def run(self) -> NoReturn:
        """Write batches until cancelled."""
        try:
            await self._group.run()
        finally:
            if self._session is not None:
                self._session.close()
            await self._engine.dispose()

    def _receipt(self, endpoint_app: str, api_app_id: str | None) -> Receipt:
        app = self._app_ids.app_of(endpoint_app, api_app_id)
        if app is not None:
            return Receipt(app, is_foreign=False)
        if api_app_id and api_app_id not in self._foreign_apps and len(self._foreign_apps) < FOREIGN_APPS_LOGGED:
            self._foreign_apps.add(api_app_id)
            log.warning("webhooks of an app that is not in the settings", app=endpoint_app, api_app_id=api_app_id)
        return Receipt(endpoint_app, is_foreign=True)

    async def _store(self, webhooks: Sequence[Webhook]) -> Sequence[None]:
        if self._session is None or webhook_rows.announces_merge(webhooks):
            async with database.transaction(self._engine) as connection:
                await webhook_rows.store(connection, webhooks)
        else:
            await webhook_rows.store_and_commit(self._session, webhooks)
        self._telemetry.webhook_batch.observe(len(webhooks))
        self._notifications.send(notifications.DUE)
        return [None] * len(webhooks)


def _describe(
    receipt: Receipt, meaning: WebhookMeaning, attestation: Attestation, body: bytes, received_at: datetime
) -> Webhook:
    """Build the webhook to store. A foreign one has no subject."""
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
