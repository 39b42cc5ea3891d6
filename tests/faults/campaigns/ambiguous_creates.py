"""Dots' answers to creations are lost, late or wrong.

No key ever gets a second flow. In the end every key has one, except those whose request Dots refused as wrong.
"""

import asyncio
import time
from dataclasses import replace
from http import HTTPStatus
from random import Random
from typing import Any

from tests.faults.campaigns import context, history, payees
from tests.faults.campaigns.context import Context
from tests.faults.campaigns.fast_clock import FastClock
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.stack import database
from tests.stack.waiting import eventually

AT_ONCE = 16
IMPATIENT_ROUNDS, PATIENT_ROUNDS = 4, 4
# A POST may be sent again after two minutes. At this rate they pass in twelve seconds.
RATE = 10.0
SETTLED_WITHIN_SECONDS = 90.0
PATIENCE = {"DOTS_TIMEOUT_SECONDS": "1", "LEASE_SECONDS": "60"}
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "create_then_cut"},
    {"kind": "create_then_fail", "status": 502},
    {"kind": "hang", "seconds": 2},
    {"kind": "stall", "seconds": 2, "status": 504},
    {"kind": "cut"},
    {"kind": "junk_body"},
    {"kind": "server_error"},
    {"kind": "rate_limited", "retry_after_seconds": 1},
    {"kind": "none"},
)
STATUSES = range(300, 600)
# With these Dots may have made the flow: see the table at `app.dots.answers`.
OPEN_STATUSES = frozenset(
    status for status in STATUSES if status // 100 != 4 or status not in frozenset(HTTPStatus) or status == 408
)
FINAL_CODE = "invalid-input"


async def run_creates(options: RunOptions) -> Outcome:
    """Most POSTs fail in one way or another, and an api is killed. Callers repeat their keys.

    Every status from 300 to 599 is among the answers.
    """
    count = options.count(400, least=80)
    clock = FastClock(rate=RATE, base=time.time())
    async with context.staged(options, PATIENCE, clock=clock) as run_context:
        dice = options.random("faults")
        faults = _faults(dice, count)
        await run_context.fleet.dots.turn(faults={"next_responses": faults})
        waiting = {f"key-{number}": _body(number) for number in range(count)}
        for number in range(IMPATIENT_ROUNDS):
            async with asyncio.TaskGroup() as tasks:
                asking = tasks.create_task(_ask_all(run_context, waiting))
                if number == 1:
                    tasks.create_task(run_context.fleet.restart("api-1"))
            waiting = asking.result()
        # Dots works again: workers find the flows whose creation has no outcome yet, or ask for them again.
        await run_context.fleet.dots.turn(faults={"next_responses": []})
        for _ in range(PATIENT_ROUNDS):
            await _settled(run_context)
            waiting = await _ask_all(run_context, waiting)
        calls = (await run_context.fleet.dots.ask("api-calls"))["api_calls"]
        befallen = sum(call["method"] == "POST" and call["fault"] not in (None, "none") for call in calls)
        outcome = await run_context.outcome(events=count, faults=befallen + 1)
        refused = {asked.key for asked in history.read(options.directory).asked if asked.error_code == FINAL_CODE}
    unanswered = [f"I9: {key} was never given a flow" for key in waiting.keys() - refused]
    given = [f"I9: {key} was given a flow that Dots had refused" for key in refused - waiting.keys()]
    return replace(outcome, violations=outcome.violations + unanswered + given)


def _faults(dice: Random, count: int) -> list[dict[str, Any]]:
    """One answer for each key to begin with: each status, or as many as there are keys, and then all else."""
    statuses = dice.sample(STATUSES, min(len(STATUSES), 3 * count // 4))
    faults = [_answer(dice, status) for status in statuses]
    faults += [dice.choice(FAULTS) for _ in range(count - len(faults))]
    dice.shuffle(faults)
    return [{**fault, "method": "POST"} for fault in faults]


def _answer(dice: Random, status: int) -> dict[str, Any]:
    """An answer with this status: a proxy's page or an error of Dots, before or after Dots has made the flow."""
    if status in OPEN_STATUSES:
        return {"kind": dice.choice(("proxy_page", "create_then_proxy_page", "error")), "status": status}
    if status in (400, 422) and dice.random() < 0.5:
        return {"kind": "error", "status": status, "error_code": FINAL_CODE}
    kind = dice.choice(("proxy_page", "error"))
    return {"kind": kind, "status": status, "error_code": "resource-busy"}


def _body(number: int) -> dict[str, Any]:
    return {"steps": ["compliance", "payout"], "reference": f"payee-{number}", "metadata": {"number": number}}


async def _ask_all(run_context: Context, bodies: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Ask once for each key. Returns the keys that got no flow."""
    dice = run_context.options.random("apis")
    rest = iter(bodies.items())
    given: set[str] = set()

    async def ask_on() -> None:
        for key, body in rest:
            if await payees.try_flow(run_context.fleet, dice.choice(run_context.fleet.api_urls), key, body):
                given.add(key)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(ask_on())
    return {key: body for key, body in bodies.items() if key not in given}


async def _settled(run_context: Context) -> None:
    """Return when every creation has an outcome."""

    async def is_settled() -> bool:
        query = "SELECT count(*) FROM flows WHERE status = 'creating'"
        return await database.column(run_context.server.direct_url, query) == [0]

    await eventually(is_settled, within=SETTLED_WITHIN_SECONDS * run_context.options.repeats)


CAMPAIGN = Campaign(name="creates", summary="creations answered late, wrongly or not at all", run=run_creates)
