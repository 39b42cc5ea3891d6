"""`dots-gateway doctor`: checks all that a running gateway needs, and says how to repair what is wrong."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import uuid4

import httpx

from app import settings
from app.brokers import offset_rows
from app.dots import signature
from app.errors import (
    BrokerUnavailableError,
    DotsCredentialsError,
    DotsError,
    DotsThrottledError,
    GatewayError,
    NoBrokerError,
    SettingsError,
)
from app.processes import dots_wiring, wiring
from app.processes.wiring import Inputs
from app.settings import DEFAULT_APP, Settings
from app.storage import database
from app.upkeep import delivery_stats, doctor_database, health_stats
from app.upkeep.doctor_database import FindingError
from app.upkeep.health_stats import HealthStats
from app.webhooks import webhook_search

LATE_SECONDS = 120
ANSWER_SECONDS = 15
DEAD_LETTERS_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check. `detail` says what it found, or what to do."""

    check: str
    is_well: bool
    detail: str


async def examine(environ: Mapping[str, str], *, url: str) -> list[Finding]:
    """Run every check against the running api at `url`. With malformed settings, report only those."""
    try:
        found = settings.read(environ)
        async with wiring.open_inputs(found) as inputs:
            findings = [await _find(name, check) for name, check in _checks(inputs, found, url)]
    except SettingsError as error:
        return [Finding(check="settings", is_well=False, detail=problem) for problem in error.detail.split("; ")]
    return [*_unknown_settings(environ), *findings]


def _unknown_settings(environ: Mapping[str, str]) -> list[Finding]:
    """Report misspelt variables. They are no failure, because they change nothing."""
    findings = []
    for name in settings.unknown_names(environ):
        nearest = settings.nearest_name(name)
        question = f" Did you mean {nearest}?" if nearest else ""
        detail = f"{name} is not a setting of dots-gateway and is ignored.{question}"
        findings.append(Finding(check="settings", is_well=True, detail=detail))
    return findings


def _checks(inputs: Inputs, found: Settings, url: str) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
    # Two checks share one query. If it fails, both checks fail.
    stats = functools.cache(lambda: asyncio.ensure_future(_health_stats(inputs)))
    checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("settings", partial(_settings, found)),
        *doctor_database.checks(inputs.upkeep, found),
        ("worker", lambda: _worker(inputs, stats())),
        ("payees", lambda: _payees(found, stats())),
        ("deliveries", partial(_deliveries, inputs)),
    ]
    if found.event_broker_url is not None:
        checks.append(("broker", partial(_broker, inputs, found)))
    for app in inputs.upkeep.clients:
        checks.append((f"dots {app}", partial(_dots, inputs, app)))
        checks.append((f"webhook {app}", partial(_webhook, inputs, found, app, url)))
    return checks


async def _find(name: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return Finding(check=name, is_well=True, detail=await check())
    except GatewayError as error:
        return Finding(check=name, is_well=False, detail=error.detail)
    except TimeoutError:
        return Finding(check=name, is_well=False, detail=f"No answer within {ANSWER_SECONDS} s.")


async def _settings(found: Settings) -> str:
    secrets = sum(len(dots_wiring.secret_keys(app)) for app in found.apps.values())
    return f"{len(found.apps)} app(s): {', '.join(found.apps)}; {secrets} webhook secret(s)."


async def _worker(inputs: Inputs, counting: Awaitable[HealthStats]) -> str:
    stats = await asyncio.shield(counting)
    if stats.oldest_due_seconds > LATE_SECONDS:
        late = f"{stats.due} due, the oldest for {stats.oldest_due_seconds:.0f} s"
        raise FindingError(f"{late}: is a worker running, and does Dots answer?")
    if stats.overdue_verdicts:
        raise FindingError(f"{stats.overdue_verdicts} background check(s) have been pending for too long; ask Dots.")
    if stats.dead:
        async with database.transaction(inputs.storage.engine) as connection:
            named = ", ".join(
                await health_stats.given_up(connection, apps=inputs.upkeep.clients, limit=DEAD_LETTERS_NAMED)
            )
        raise FindingError(f"{stats.dead} given up: {named}; `webhooks replay --state dead`, `flows refresh --dead`.")
    return f"{stats.due} due, {stats.failing} failing, {stats.unsequenced} unsequenced, feed at {stats.feed_position}."


async def _payees(found: Settings, counting: Awaitable[HealthStats]) -> str:
    """Report what waits for a person's decision. It is never a failure."""
    stats = await asyncio.shield(counting)
    reviews = f"{stats.checks_to_review} background check(s) need review"
    waiting = f"{stats.flows_passed_over} flow(s) wait only for steps that were passed over"
    if not stats.flows_passed_over:
        return f"{reviews}; {waiting}."
    if found.dots_complete_passed_over:
        return f"{reviews}; {waiting}. The next refresh completes them: `flows refresh --status open --yes`."
    return f"{reviews}; {waiting}: DOTS_COMPLETE_PASSED_OVER=true lets such flows complete."


async def _health_stats(inputs: Inputs) -> HealthStats:
    now = inputs.storage.clock()
    overdue_before = now - inputs.upkeep.verdict_overdue_after
    async with database.transaction(inputs.storage.engine) as connection:
        return await health_stats.take(connection, apps=inputs.upkeep.clients, now=now, overdue_before=overdue_before)


async def _deliveries(inputs: Inputs) -> str:
    async with database.transaction(inputs.storage.engine) as connection:
        stats = await delivery_stats.take(connection, now=inputs.storage.clock())
    counts = stats.subscriptions
    if paused := counts["gone"] + counts["failing"]:
        raise FindingError(f"{paused} subscription(s) are paused because they failed; see `subscriptions list`.")
    if stats.oldest_due_seconds > LATE_SECONDS:
        raise FindingError(f"A delivery has been due for {stats.oldest_due_seconds:.0f} s: is a worker running?")
    if stats.dead:
        raise FindingError(f"{stats.dead} given up; see `subscriptions deliveries --state dead`, then redeliver.")
    if sum(counts.values()) and inputs.subscriptions.secret_cipher is None:
        raise FindingError("There are subscriptions, but ENCRYPTION_KEYS is not set: nothing can be signed.")
    return f"{sum(counts.values())} subscription(s), {counts['broken']} with an open breaker; {stats.due} due."


async def _broker(inputs: Inputs, found: Settings) -> str:
    async with wiring.open_broker(found) as broker:
        if broker is None:
            raise NoBrokerError
        try:
            await broker.open()
        except BrokerUnavailableError as error:
            raise FindingError(f"{error.detail} Are {broker.name} and its credentials right?") from error
        async with database.transaction(inputs.storage.engine) as connection:
            broker_states = await offset_rows.broker_states(connection)
        lag = next((broker_state.lag for broker_state in broker_states if broker_state.broker == broker.name), 0)
        return f"{broker.name} accepts connections; {lag} event(s) to publish."


async def _dots(inputs: Inputs, app: str) -> str:
    try:
        await inputs.upkeep.clients.of(app).try_credentials()
    except DotsCredentialsError as error:
        raise FindingError("Dots refuses the client id and API key; see Dots' dashboard for the right ones.") from error
    except DotsThrottledError as error:
        raise FindingError(f"{error.detail} Run doctor again later.") from error
    except DotsError as error:
        raise FindingError(f"{error.detail} Is the API URL right? It ends in /api.") from error
    return "Dots accepts the credentials."


async def _webhook(inputs: Inputs, found: Settings, app: str, url: str) -> str:
    """Send the api a webhook signed with each secret, as Dots would, and check that it is stored."""
    path = "/webhooks/dots" if app == DEFAULT_APP else f"/webhooks/dots/{app}"
    for key in dots_wiring.secret_keys(found.apps[app]):
        message_id = f"msg_doctor_{uuid4().hex}"
        await _send(f"{url}{path}", key, message_id, inputs.storage.clock())
        async with database.transaction(inputs.storage.engine) as connection:
            stored = await webhook_search.find(connection, app, message_id)
        if stored is None:
            raise FindingError("The api accepted the test webhook, but it uses another database.")
    return f"The api accepted and stored a signed test webhook to {path}."


async def _send(url: str, key: bytes, message_id: str, now: datetime) -> None:
    body = b'{"event":"dots_gateway.doctor"}'
    headers = signature.signed_headers(key, message_id, int(now.timestamp()), body)
    headers["content-type"] = "application/json"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS) as client:
            response = await client.post(url, content=body, headers=headers)
    except httpx.HTTPError as error:
        raise FindingError(f"No api answers at {url}; set its address with --url.") from error
    if response.status_code != httpx.codes.NO_CONTENT:
        raise FindingError(f"The api answered {response.status_code}: does it have the same webhook secrets?")
