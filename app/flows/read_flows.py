"""Look things up for callers: one flow, a page of flows, a user."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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
    """The flow with this id of Dots. Raises FlowNotFoundError."""
    async with database.transaction(engine) as connection:
        return await _find(connection, flow_id)


async def list_flows(
    engine: AsyncEngine, wanted: FlowFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[FlowRecord]:
    """The newest flows that match, from after the flow that was created at and is called `before`."""
    async with database.transaction(engine) as connection:
        return await flow_search.page(connection, wanted, before=before, limit=limit)


async def read_user(engine: AsyncEngine, user_id: str) -> UserRecord:
    """The user with this id of Dots. Raises UserNotFoundError."""
    async with database.transaction(engine) as connection:
        user = await user_rows.find(connection, user_id)
    if user is None:
        raise UserNotFoundError
    return user


async def _find(connection: AsyncConnection, flow_id: str) -> FlowRecord:
    flow = await flow_rows.find(connection, flow_id)
    if flow is None:
        raise FlowNotFoundError
    return flow
