"""The budget of calls to a Dots app, spent in a transaction of its own: whoever locks an app's row locks it last."""

from app.actions.tools import Tools
from app.storage import budget_rows, database


async def may_call(tools: Tools, app: str, *, reserve: float) -> bool:
    """Spend one call, unless no more than `reserve` are left."""
    async with database.transaction(tools.engine) as connection:
        now = tools.clock()
        return await budget_rows.take(connection, app, 1, budget=tools.budget, reserve=reserve, now=now) == 1
