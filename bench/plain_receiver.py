"""The baseline of `make bench`: the webhook receiver that a competent team writes first.

A FastAPI route, Svix' own verifier, one SQLAlchemy session and one commit a request. Nothing is held back:
uvicorn picks uvloop and httptools, the pool has SQLAlchemy's defaults, the row the columns such a table has.
Needs `DATABASE_URL` and `WEBHOOK_SECRET` in the environment.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI, HTTPException, Request, status
from sqlalchemy import DateTime, func, make_url
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from svix.webhooks import Webhook, WebhookVerificationError


class Base(DeclarativeBase):
    """The baseline's own tables. It shares no code with the service."""


class PlainWebhook(Base):
    """One message, once."""

    __tablename__ = "plain_webhooks"

    message_id: Mapped[str] = mapped_column(primary_key=True)
    event: Mapped[str | None]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


def create_app() -> FastAPI:
    """Build the baseline from the environment. It creates its table at start."""
    url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    verifier = Webhook(os.environ["WEBHOOK_SECRET"])

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/livez")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/webhooks/dots", status_code=status.HTTP_204_NO_CONTENT)
    async def receive_webhook(request: Request) -> None:
        body = await request.body()
        try:
            verifier.verify(body, dict(request.headers))
        except WebhookVerificationError as error:
            raise HTTPException(status.HTTP_401_UNAUTHORIZED) from error
        payload = json.loads(body)
        row = insert(PlainWebhook).values(
            message_id=request.headers["svix-id"], event=payload.get("event"), payload=payload
        )
        async with sessions() as session:
            await session.execute(row.on_conflict_do_nothing(index_elements=[PlainWebhook.message_id]))
            await session.commit()

    return app
