"""Makes workers refresh all flows that match a filter, or counts them first."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.flows import flow_search, sync_rows
from app.flows.flow_search import FlowFilter
from app.flows.inputs import FlowInputs
from app.storage import database, notifications

# The most flows in one transaction, so that it does not hold its locks for long.
BATCH = 1000
# A dry run stops counting here.
COUNT_LIMIT = 10_000


@dataclass(frozen=True, kw_only=True)
class RequestedRefreshes:
    """How many flows are due now or, after a dry run, would be. `is_at_least`: there may be more."""

    flows: int
    is_at_least: bool = False


async def request_refreshes(inputs: FlowInputs, wanted: FlowFilter, *, is_dry_run: bool) -> RequestedRefreshes:
    """Make due all matching flows that Dots knows, dead ones too. A dry run only counts, up to about COUNT_LIMIT."""
    count = 0
    before: tuple[datetime, UUID] | None = None
    while True:
        async with database.transaction(inputs.engine) as connection:
            step = await flow_search.subjects(connection, wanted, before=before, limit=BATCH)
            if step.subjects and not is_dry_run:
                await sync_rows.mark_due(connection, step.subjects, due_at=inputs.clock(), due_by="refresh")
        if not is_dry_run:
            inputs.notifications.send(notifications.DUE)
        count += len(step.subjects)
        before = step.before
        if before is None or (is_dry_run and count >= COUNT_LIMIT):
            return RequestedRefreshes(flows=count, is_at_least=before is not None)
