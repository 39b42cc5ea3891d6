"""Planning of searches with optional filters."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_PLAN_FOR_VALUES = text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")


async def plan_for_values(connection: AsyncConnection) -> None:
    """Make Postgres plan each later statement of this transaction for its actual values.

    From its sixth execution on, a prepared statement may get a generic plan. The best index of a search depends on the
    values: one app may have nearly all flows, and another a handful. Planning costs a fraction of a millisecond, so use
    this for searches only, not for frequent statements.
    """
    await connection.execute(_PLAN_FOR_VALUES)
