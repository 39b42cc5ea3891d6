"""Settles creations with an unknown outcome: sends the POST again after enough listings did not contain the flow.

`discover_flows` finds the flows that Dots did create, by their reference.
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
# The error of a creation without a key: Dots did not answer and does not list the flow.
_NOT_FOUND = CreationError(code=CreationOutcomeUnknownError.code)


async def settle_creations(inputs: FlowInputs) -> int:
    """One pass: settle creations that three listings over two minutes did not contain. Returns how many."""
    attempted = 0
    for app in inputs.clients:
        async with background.transaction(inputs) as connection:
            unsettled = await listing_rows.unsettled(connection, app, before=inputs.clock() - SETTLE_AFTER)
        sought = [creation for creation in unsettled if creation.searches >= SEARCHES_NEEDED]
        # Several at once, because each may take as long as the deadline of a call.
        turns = asyncio.Semaphore(AT_ONCE)
        ends = await asyncio.gather(
            *(_settle(inputs, app, creation, turns) for creation in sought), return_exceptions=True
        )
        for error in ends:
            if error is not None:  # Raised only now, when all others have ended too.
                raise error
        attempted += len(sought)
    return attempted


async def _settle(inputs: FlowInputs, app: str, creation: Unsettled, turns: asyncio.Semaphore) -> None:
    async with turns:
        try:
            await _attempt(inputs, app, creation)
        except DatabaseUnavailableError as error:  # The next pass or listing continues with it.
            log.warning("creation not settled now", app=app, caller=creation.caller, error=error.code)


async def _attempt(inputs: FlowInputs, app: str, creation: Unsettled) -> None:
    if creation.idempotency_key is None:
        async with background.transaction(inputs) as connection:
            # The caller cannot repeat the request without a key, and may have created another flow since.
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
