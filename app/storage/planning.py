"""How Postgres plans a statement that people narrow as they like."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_PLAN_FOR_VALUES = text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")


async def plan_for_values(connection: AsyncConnection) -> None:
    """Have each later statement of this transaction planned for the values it is given.

    From its sixth execution on, a prepared statement may get a plan for any values. Which index is right depends on
    them here: nearly all flows may be of one app, and a handful of another. Planning costs a fraction of a
    millisecond, so this is for searches, not for statements that run all the time.
    """
    await connection.execute(_PLAN_FOR_VALUES)
