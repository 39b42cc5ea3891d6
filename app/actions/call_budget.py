"""Spending the budget of calls to a Dots app, from tokens that the process has taken in advance.

The bucket is a row that every process updates. With an update for each call, it would have thousands of dead versions
as soon as a long transaction keeps them alive. So a process takes a chunk of tokens and spends it from memory. It
takes the chunk in a transaction of its own, because an app's row is locked last.
"""

from functools import partial

from app.actions.tools import Tools
from app.flows.purse import Purse
from app.storage import budget_rows, database

# Another caller may spend a chunk first. After this many chunks the caller gets nothing and comes back later.
_MOST_CHUNKS = 5


async def may_call(tools: Tools, app: str, *, reserve: float) -> bool:
    """Spend one call, unless no more than `reserve` are left. Raises DatabaseUnavailableError."""
    return await take(tools, app, 1, reserve=reserve) == 1


async def take(tools: Tools, app: str, wanted: int, *, reserve: float) -> int:
    """Spend up to `wanted` calls, leaving `reserve` in the bucket; returns how many. Raises DatabaseUnavailableError.

    Call it while no transaction is open: it may need a connection.
    """
    purse = tools.purses.of(app, tools.budget)
    taken = purse.spend(wanted, reserve=reserve, now=tools.clock())
    for _ in range(_MOST_CHUNKS):
        if taken == wanted or not purse.is_worth_asking(reserve=reserve, now=tools.clock()):
            break
        missing = wanted - taken
        chunk = partial(_take_chunk, tools, app, purse, missing, reserve=reserve)
        try:
            await tools.purses.fill(app, tools.budget, reserve, chunk)
        except BaseException:
            purse.put(taken, reserve=reserve, now=tools.clock())
            raise
        taken += purse.spend(missing, reserve=reserve, now=tools.clock())
    return taken


def give_back(tools: Tools, app: str, number: int, *, reserve: float) -> None:
    """Calls that were taken and not made are for the next caller in this process, then for all processes."""
    tools.purses.of(app, tools.budget).put(number, reserve=reserve, now=tools.clock())


def is_spent(tools: Tools, app: str, *, reserve: float) -> bool:
    """Whether `take` would give nothing now; known without asking the database."""
    return tools.purses.of(app, tools.budget).is_spent(reserve=reserve, now=tools.clock())


async def _take_chunk(tools: Tools, app: str, purse: Purse, wanted: int, *, reserve: float) -> None:
    now = tools.clock()
    chunk = tools.budget.chunk(wanted)
    returned = purse.take_stale(now)
    async with database.transaction(tools.engine) as connection:
        granted = await budget_rows.take(
            connection, app, chunk, budget=tools.budget, reserve=reserve, now=now, returned=returned
        )
    # Fresh from now on: a commit may have taken longer than tokens are kept.
    purse.put(granted, reserve=reserve, now=tools.clock())
    if granted < chunk:
        purse.note_empty_bucket(reserve=reserve, now=now)
