"""Reads flows and users for callers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import FlowNotFoundError, UserNotFoundError
from app.flows import (
    flow_rows,
    flow_search,
    user_rows,
)
from app.flows.flow_rows import FlowRecord
from app.flows.flow_search import FlowFilter
from app.flows.user_rows import UserRecord
from app.storage import database


async def read_flow(engine: AsyncEngine, flow_id: str) -> FlowRecord:
    """Return the flow with this id of Dots. Raises FlowNotFoundError."""
    async with database.transaction(engine) as connection:
        flow = await flow_rows.find(connection, flow_id)
    if flow is None:
        raise FlowNotFoundError
    return flow


async def list_flows(
    engine: AsyncEngine, wanted: FlowFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[FlowRecord]:
    """Return the newest matching flows that are older than `before` (a flow's creation time and ref)."""
    async with database.transaction(engine) as connection:
        return await flow_search.page(connection, wanted, before=before, limit=limit)


async def read_user(engine: AsyncEngine, user_id: str) -> UserRecord:
    """Return the user with this id of Dots. Raises UserNotFoundError."""
    async with database.transaction(engine) as connection:
        user = await user_rows.find(connection, user_id)
    if user is None:
        raise UserNotFoundError
    return user
