"""`dots-gateway demo`: walks five payees through all kinds of steps, prints each event, and checks the result."""

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from app.errors import GatewayError
from devstack import dev, ports, stack
from devstack.child import filed
from devstack.demo_payees import PAYEES, Payee
from devstack.processes import supervising
from devstack.stack import Stack

DEADLINE_SECONDS = 40.0
EXTRA_EVENTS_SECONDS = 1.0
CLAIMED_WITHIN_SECONDS, CLAIM_POLL_SECONDS = 10.0, 0.05


class DemoError(GatewayError):
    """The demo did not see every event it expected."""


async def run(*, database_url: str | None) -> None:
    """Run the demo. Raises DemoError if an event is missing or arrives twice."""
    began = time.monotonic()
    with _directory() as directory:
        _print("Starting Postgres, a simulated Dots, the api and a worker …")
        with dev.database(database_url, directory) as url:
            async with supervising(filed(directory)) as supervisor:
                running = await stack.start(
                    supervisor,
                    database_url=url,
                    api_port=ports.free_port(),
                    simulator_port=ports.free_port(),
                    keep_in=None,
                )
                await supervisor.watch(_run_payees(running))
    _print(f"\nEverything arrived, once and in order, in {time.monotonic() - began:.0f} s. Nothing is left running.")


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A temporary directory for data and logs. The account that runs embedded Postgres can enter it."""
    with tempfile.TemporaryDirectory(prefix="dots-gateway-demo-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


async def _run_payees(running: Stack) -> None:
    async with (
        httpx.AsyncClient(
            base_url=running.api_url, headers={"Authorization": f"Bearer {running.key}"}, trust_env=False, timeout=40
        ) as gateway,
        httpx.AsyncClient(base_url=running.simulator_url, trust_env=False, timeout=20) as dots,
    ):
        cursor = (await _get(gateway, "/v1/events", after="latest"))["next_cursor"]
        flows = {payee.reference: await _create(gateway, dots, payee) for payee in PAYEES}
        _print("\nEvents, as another service reads them from GET /v1/events:\n")
        reading = asyncio.create_task(_read_events(gateway, cursor, sum(len(payee.expected) for payee in PAYEES)))
        for payee in PAYEES:
            await _walk(dots, payee, flows[payee.reference]["id"])
        _check(await reading)


async def _create(gateway: httpx.AsyncClient, dots: httpx.AsyncClient, payee: Payee) -> dict[str, Any]:
    user_id = None
    if payee.has_user:
        user_id = (await _post(dots, "/_control/users", {"status": "verified"}))["id"]
    request = {"steps": payee.steps, "reference": payee.reference, "user_id": user_id}
    key = {"Idempotency-Key": f"{payee.reference}-{time.time_ns()}"}
    flow = await _post(gateway, "/v1/flows", request, headers=key)
    names = ", ".join(step["name"] for step in flow["steps"])
    _print(f"  {payee.reference} {payee.description}: {names}")
    return flow


async def _walk(dots: httpx.AsyncClient, payee: Payee, flow_id: str) -> None:
    """Complete the payee's steps. In a flow without a user, signing up counts as the first step."""
    count = payee.completes if payee.completes is not None else len(payee.steps) + (not payee.has_user)
    for _ in range(count):
        body = {"verdict": payee.verdict} if payee.verdict else {}
        await _post(dots, f"/_control/flows/{flow_id}/complete-next", body)


async def _read_events(gateway: httpx.AsyncClient, cursor: str, expected: int) -> dict[str, list[str]]:
    """Read the feed until the expected number of events has arrived, and a moment longer to detect extra ones."""
    received: dict[str, list[str]] = {}
    references: dict[str, str] = {}
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        page = await _get(gateway, "/v1/events", after=cursor, wait=min(left, 5.0))
        cursor = page["next_cursor"]
        for event in page["events"]:
            reference = await _reference(gateway, event, references)
            line = " ".join(filter(None, (_name(event), event["data"].get("step"))))
            received.setdefault(reference, []).append(line)
            _print(f"  {event['time'][11:23]}  {reference}  {event['type']:<32} {event['data'].get('step', '')}")
        if sum(map(len, received.values())) >= expected:
            deadline = min(deadline, time.monotonic() + EXTRA_EVENTS_SECONDS)
    return received


async def _reference(gateway: httpx.AsyncClient, event: dict[str, Any], known: dict[str, str]) -> str:
    """The reference of the payee that the event is about."""
    data = event["data"]
    for named in (data, *data.get("flows", ())):
        if "reference" in named:
            return str(named["reference"])
    user_id = data["user_id"]
    if user_id not in known:
        known[user_id] = await reference_of_user(gateway, user_id)
    return known[user_id]


async def reference_of_user(gateway: httpx.AsyncClient, user_id: str) -> str:
    """The reference of the user's flow. Waits, because a user may be verified before we know which flow is theirs."""
    deadline = time.monotonic() + CLAIMED_WITHIN_SECONDS
    while not (found := (await _get(gateway, "/v1/flows", user_id=user_id))["flows"]):
        if time.monotonic() > deadline:
            return "unknown"
        await asyncio.sleep(CLAIM_POLL_SECONDS)
    return str(found[0]["reference"])


def _name(event: dict[str, Any]) -> str:
    name: str = event["type"]
    return name.removeprefix("dots.flow.").removeprefix("dots.user.").removeprefix("dots.")


def _check(received: dict[str, list[str]]) -> None:
    _print("")
    wrong = []
    for payee in PAYEES:
        missing = Counter(payee.expected) - Counter(received.get(payee.reference, []))
        extra = Counter(received.get(payee.reference, [])) - Counter(payee.expected)
        in_order = [line for line in received.get(payee.reference, []) if "check." not in line and "id_" not in line]
        wanted = [line for line in payee.expected if "check." not in line and "id_" not in line]
        is_right = not missing and not extra and in_order == wanted
        _print(f"  {'✓' if is_right else '✗'} {payee.reference}: {len(payee.expected)} events")
        if not is_right:
            wrong.append(
                f"{payee.reference} (missing: {', '.join(missing) or '-'}; too many: {', '.join(extra) or '-'})"
            )
    if wrong:
        raise DemoError(f"Some events are missing or unexpected: {'; '.join(wrong)}.")


async def _get(client: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    response = await client.get(path, params=query)
    return _content(response)


async def _post(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    return _content(await client.post(path, json=body, headers=headers))


def _content(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise DemoError(f"{response.request.method} {response.request.url.path} answered {response.status_code}.")
    content: dict[str, Any] = response.json()
    return content


def _print(line: str) -> None:
    print(line, flush=True)
