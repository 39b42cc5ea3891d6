"""The examples of the READMEs are run as they stand there."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import events
from app.flows.rules import events as flow_events
from app.flows.rules.events import FlowFacts
from tests.clients import programs, serving
from tests.clients.programs import CLIENTS
from tests.clients.script import envelope
from tests.clients.signing import SECRET, signed
from tests.dots.fake_dots import NOW
from tests.dots.memory_dots import MemoryDots
from tests.feed import feeding
from tests.stack.waiting import eventually

ENVIRONMENT = {"PYTHONPATH": str(CLIENTS / "python/src"), "PYTHONUNBUFFERED": "1"}
FACTS = FlowFacts(app="default", flow_id="flow-1", reference="payee-17", user_id=None)


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A directory with the Python examples, each under the name that stands above it."""
    readme = (CLIENTS / "python/README.md").read_text(encoding="utf-8")
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", readme, re.DOTALL):
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


async def test_flow_is_created_as_shown(engine: AsyncEngine, dots: MemoryDots, examples: Path) -> None:
    """The first example prints the link for the payee."""
    async with serving.service(engine, dots) as port:
        access = {"GATEWAY_URL": serving.url(port), "GATEWAY_KEY": await serving.key(engine, *serving.CALLER)}
        async with programs.running(
            sys.executable, "create.py", directory=examples, **ENVIRONMENT, **access
        ) as program:
            line = await program.hear("open")

    (flow,) = dots.flows.values()
    assert line == f"{flow['id']} open {flow['link']}"


async def test_feed_is_followed_as_shown(engine: AsyncEngine, dots: MemoryDots, examples: Path) -> None:
    """The second example tells what payees do, and started again goes on where it was."""
    compliance = flow_events.step_completed(FACTS, NOW, step="compliance")
    cursor = examples / "feed.cursor"

    async def is_saved() -> bool:
        return cursor.exists()

    async with serving.service(engine, dots) as port:
        access = {"GATEWAY_URL": serving.url(port), "GATEWAY_KEY": await serving.key(engine, *serving.READER)}
        follow = [sys.executable, "follow.py"]
        await feeding.feed(engine, [flow_events.flow_created(FACTS, NOW), compliance])
        async with programs.running(*follow, directory=examples, **ENVIRONMENT, **access) as program:
            await program.hear("payee-17 has done compliance")
            await eventually(is_saved)
        await feeding.feed(engine, [flow_events.flow_completed(FACTS, NOW)], after_sequence=2)
        async with programs.running(*follow, directory=examples, **ENVIRONMENT, **access) as program:
            await program.hear("payee-17 has done everything")

    assert program.lines == ["payee-17 has done everything"]


async def test_push_is_received_as_shown(examples: Path) -> None:
    """The third example takes what is signed with the secret, and nothing else."""
    uvicorn = [sys.executable, "-m", "uvicorn", "receive:app", "--port", "0"]
    content = envelope(1) | {"type": events.FLOW_COMPLETED}
    schema = "urn:dots-gateway:schemas/flow.completed/v1.json"
    push = signed(datetime.now(UTC), event=content | {"dataschema": schema})
    async with programs.running(*uvicorn, directory=examples, **ENVIRONMENT, WEBHOOK_SECRETS=SECRET) as program:
        url = re.findall(r"http://\S+", await program.hear("running on"))[0]
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            forged = await client.post("/events", content=push.body + b" ", headers=push.headers)
            taken = await client.post("/events", content=push.body, headers=push.headers)
        await program.hear("payee-17 has done everything")

    assert (forged.status_code, taken.status_code) == (401, 204)
    assert forged.text == "No signature of this push is of one of the secrets."


@pytest.mark.parametrize("readme", ["python/README.md", "javascript/README.md"])
def test_javascript_is_shown_as_it_is(readme: str) -> None:
    """What stands in the READMEs is the file that is tested."""
    shown = re.findall(r"```js\n(.*?)```", (CLIENTS / readme).read_text(encoding="utf-8"), re.DOTALL)

    assert shown == [(CLIENTS / "javascript/consumer.js").read_text(encoding="utf-8")]
