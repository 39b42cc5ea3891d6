"""Have workers ask Dots again about flows: one, or all that match, counted first."""

from app.actions.tools import Tools
from app.storage import database, flow_search, hints, sync_rows
from app.storage.flow_search import FlowFilter

# More than this at once is a storm of our own making; whoever wants the rest calls again.
ASK_LIMIT = 10_000


async def ask_again(tools: Tools, wanted: FlowFilter, *, is_dry_run: bool) -> int:
    """Make due what matches, dead or alive, as far as Dots knows it; how many flows. A dry run only counts."""
    async with database.transaction(tools.engine) as connection:
        subjects = await flow_search.subjects(connection, wanted, limit=ASK_LIMIT)
        if not is_dry_run and subjects:
            await sync_rows.mark_due(connection, subjects, due_at=tools.clock(), due_by="refresh")
    if not is_dry_run:
        tools.hints.give(hints.DUE)
    return len(subjects)
