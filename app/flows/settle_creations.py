"""Creations whose outcome is unknown: ask Dots again, but only once its list has shown often enough that it made none.

`discover_flows` finds those that Dots did make, by the reference they carry.
"""

import asyncio
from datetime import timedelta

import structlog

from app.dots.gate import Permit
from app.errors import CreationOutcomeUnknownError, DatabaseUnavailableError, DotsError
from app.flows import creation_rows, listing_rows
from app.flows.attempt_creation import Attempt, attempt_creation
from app.flows.creation_rows import CreationError
from app.flows.inputs import FlowInputs
from app.flows.listing_rows import Unsettled
from app.storage import background

log = structlog.get_logger()

SEARCHES_NEEDED = 3
SETTLE_AFTER = timedelta(minutes=2)
AT_ONCE = 8
# The error of a creation without a key: Dots gave no answer, and does not list the flow.
_NOT_FOUND = CreationError(code=CreationOutcomeUnknownError.code)


async def settle_creations(inputs: FlowInputs) -> int:
    """One pass: attempt what was searched for in vain, three times over two minutes; returns how many."""
    attempted = 0
    for app in inputs.clients:
        async with background.transaction(inputs) as connection:
            unsettled = await listing_rows.unsettled(connection, app, before=inputs.clock() - SETTLE_AFTER)
        sought = [creation for creation in unsettled if creation.searches >= SEARCHES_NEEDED]
        # Some at once: each of them may take as long as Dots is waited for.
        turns = asyncio.Semaphore(AT_ONCE)
        ends = await asyncio.gather(
            *(_settle(inputs, app, creation, turns) for creation in sought), return_exceptions=True
        )
        for error in ends:
            if error is not None:  # All the others have ended by now, so none is left half-way.
                raise error
        attempted += len(sought)
    return attempted


async def _settle(inputs: FlowInputs, app: str, creation: Unsettled, turns: asyncio.Semaphore) -> None:
    async with turns:
        try:
            await _attempt(inputs, app, creation)
        except DatabaseUnavailableError as error:  # The next pass, or the next listing, goes on with this one.
            log.warning("creation not settled now", app=app, caller=creation.caller, error=error.code)


async def _attempt(inputs: FlowInputs, app: str, creation: Unsettled) -> None:
    if creation.idempotency_key is None:
        async with background.transaction(inputs) as connection:
            # Nobody can come back for it, and its caller may long have made another.
            await creation_rows.fail(connection, creation.ref, _NOT_FOUND)
        return
    gate = inputs.clients.of(app).gate
    permits = await gate.take()
    try:
        if permits:
            await _attempt_permitted(inputs, app, creation, permits[0])
    finally:
        gate.give_back(permits)


async def _attempt_permitted(inputs: FlowInputs, app: str, creation: Unsettled, permit: Permit) -> None:
    async with background.transaction(inputs) as connection:
        is_ours = await listing_rows.attempt_again(connection, creation, now=inputs.clock())
    if not is_ours:
        return
    attempt = Attempt(ref=creation.ref, app=app, caller=creation.caller, request=creation.request, is_repeat=True)
    log.info("flow attempted again", app=app, caller=creation.caller)
    try:
        await attempt_creation(inputs, attempt, permit)
    except (DotsError, CreationOutcomeUnknownError) as error:
        log.warning("creation still without outcome", app=app, caller=creation.caller, error=error.code)
