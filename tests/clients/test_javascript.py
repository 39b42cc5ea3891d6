"""The JavaScript consumer, run with Node.js and the official `standardwebhooks` package."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.clients import programs
from tests.clients.programs import CLIENTS, Program
from tests.clients.script import envelope
from tests.clients.signing import OTHER_SECRET, SECRET, Push, signed

HOME = CLIENTS / "javascript"


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """The running consumer and an HTTP client for it."""

    program: Program
    client: httpx.AsyncClient

    async def answer(self, push: Push) -> int:
        """Send a push; the status of the answer."""
        return (await self.client.post("/", content=push.body, headers=push.headers)).status_code


@pytest.fixture
async def consumer() -> AsyncIterator[Consumer]:
    """A running consumer with SECRET. It needs Node.js and its packages: run `make javascript`."""
    environment = {"PORT": "0", "WEBHOOK_SECRET": SECRET}
    async with programs.running("node", "consumer.js", directory=HOME, **environment) as program:
        port = (await program.line_with("listening on")).split()[-1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield Consumer(program=program, client=client)


async def test_signed_push_is_accepted(consumer: Consumer) -> None:
    """The consumer answers 204 and prints the event."""
    push = signed(datetime.now(UTC), event=envelope(1) | {"data": envelope(1)["data"] | {"reference": "payée Ω"}})

    status = await consumer.answer(push)

    assert status == 204
    assert "dots.flow.step_completed" in await consumer.program.line_with(push.headers["webhook-id"])
    assert "payée Ω" in await consumer.program.line_with("reference")


async def test_push_signed_with_two_secrets_is_accepted(consumer: Consumer) -> None:
    """After a rotation, one of the two signatures is enough."""
    push = signed(datetime.now(UTC), secrets=[OTHER_SECRET, SECRET])

    assert await consumer.answer(push) == 204


FORGERIES: list[tuple[str, Callable[[Push], Push]]] = [
    ("another secret", lambda _: signed(datetime.now(UTC), secrets=[OTHER_SECRET])),
    ("another body", lambda push: push.replaced(body=push.body.replace(b"step-1", b"step-2"))),
    ("another id", lambda push: push.replaced(webhook_id="another")),
    ("no signature", lambda push: push.replaced(webhook_signature=None)),
    ("half a signature", lambda push: push.replaced(webhook_signature="v1")),
    ("old", lambda _: signed(datetime.now(UTC) - timedelta(minutes=6))),
    ("from the future", lambda _: signed(datetime.now(UTC) + timedelta(minutes=6))),
]


async def test_forged_and_old_pushes_are_refused(consumer: Consumer) -> None:
    """The consumer answers 401 to each, prints none of them, and accepts the next good one."""
    good = signed(datetime.now(UTC))

    refused = {name: await consumer.answer(forge(good)) for name, forge in FORGERIES}
    after_them = await consumer.answer(good)
    line = await consumer.program.line_with("dots.")

    assert refused == {name: 401 for name, _ in FORGERIES}
    assert after_them == 204
    assert good.headers["webhook-id"] in line
    assert consumer.program.lines[1:] == [line], "only the good one was printed"


def test_lock_file_has_hashes_and_no_download_urls() -> None:
    """Each machine configures its own registry."""
    lock = json.loads((HOME / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}

    assert "node_modules/standardwebhooks" in packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert "://" not in json.dumps(lock)
