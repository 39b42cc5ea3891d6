"""Runs the examples in the READMEs unchanged."""

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
    """A directory with the Python examples. The first line of each example is its file name."""
    readme = (CLIENTS / "python/README.md").read_text(encoding="utf-8")
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", readme, re.DOTALL):
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


async def test_create_example_prints_the_link(engine: AsyncEngine, dots: MemoryDots, examples: Path) -> None:
    """The flow's id, status and link."""
    async with serving.service(engine, dots) as port:
        access = {"GATEWAY_URL": serving.url(port), "GATEWAY_KEY": await serving.key(engine, *serving.CALLER)}
        async with programs.running(
            sys.executable, "create.py", directory=examples, **ENVIRONMENT, **access
        ) as program:
            line = await program.line_with("open")

    (flow,) = dots.flows.values()
    assert line == f"{flow['id']} open {flow['link']}"


async def test_follow_example_continues_after_a_restart(engine: AsyncEngine, dots: MemoryDots, examples: Path) -> None:
    """It prints each completed step and flow once."""
    compliance = flow_events.step_completed(FACTS, NOW, step="compliance")
    cursor = examples / "feed.cursor"

    async def is_saved() -> bool:
        return cursor.exists()

    async with serving.service(engine, dots) as port:
        access = {"GATEWAY_URL": serving.url(port), "GATEWAY_KEY": await serving.key(engine, *serving.READER)}
        follow = [sys.executable, "follow.py"]
        await feeding.feed(engine, [flow_events.flow_created(FACTS, NOW), compliance])
        async with programs.running(*follow, directory=examples, **ENVIRONMENT, **access) as program:
            await program.line_with("payee-17 completed compliance")
            await eventually(is_saved)
        await feeding.feed(engine, [flow_events.flow_completed(FACTS, NOW)], after_sequence=2)
        async with programs.running(*follow, directory=examples, **ENVIRONMENT, **access) as program:
            await program.line_with("payee-17 completed the flow")

    assert program.lines == ["payee-17 completed the flow"]


async def test_receive_example_accepts_only_signed_pushes(examples: Path) -> None:
    """It answers 401 to a changed body."""
    uvicorn = [sys.executable, "-m", "uvicorn", "receive:app", "--port", "0"]
    content = envelope(1) | {"type": events.FLOW_COMPLETED}
    schema = "urn:dots-gateway:schemas/flow.completed/v1.json"
    push = signed(datetime.now(UTC), event=content | {"dataschema": schema})
    async with programs.running(*uvicorn, directory=examples, **ENVIRONMENT, WEBHOOK_SECRETS=SECRET) as program:
        url = re.findall(r"http://\S+", await program.line_with("running on"))[0]
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            forged = await client.post("/events", content=push.body + b" ", headers=push.headers)
            accepted = await client.post("/events", content=push.body, headers=push.headers)
        await program.line_with("payee-17 completed the flow")

    assert (forged.status_code, accepted.status_code) == (401, 204)
    assert forged.text == "None of the secrets has signed this push."


@pytest.mark.parametrize("readme", ["python/README.md", "javascript/README.md"])
def test_javascript_examples_equal_the_consumer(readme: str) -> None:
    """The READMEs show the tested file."""
    shown = re.findall(r"```js\n(.*?)```", (CLIENTS / readme).read_text(encoding="utf-8"), re.DOTALL)

    assert shown == [(CLIENTS / "javascript/consumer.js").read_text(encoding="utf-8")]
