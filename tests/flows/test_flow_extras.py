from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots.client import DotsClient
from app.storage.tables import metadata as tables
from tests.all_inputs import AllInputs
from tests.dots import fake_dots
from tests.dots.memory_dots import MemoryDots
from tests.surroundings import Logs

ADDRESS = "2001:db8::17"


async def test_warnings_come_with_the_flow_and_again_with_a_repeat(client: httpx.AsyncClient) -> None:
    """An unknown step that looks like a known one is created, and the caller is asked whether it was meant."""
    body = {"steps": ["complience", {"name": "redirect", "redirect_url": "https://a.technology/"}]}
    answers = [await client.post("/v1/flows", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    first, second = (answer.json()["warnings"] for answer in answers)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert first[0] == "did you mean compliance?"
    assert first[1].startswith("steps.1.redirect_url: ")
    assert len(first) == 2
    assert second == first


async def test_first_steps_of_dots_may_be_sent_with_a_user(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """Dots' guide lists `onboard` among the steps; public code sends it for a known user."""
    names = ["onboard", "authorization", "onboarding", "authentication"]
    answers = [
        await client.post("/v1/flows", json={"steps": [name, "payout"], "user_id": fake_dots.USER}) for name in names
    ]

    assert [answer.status_code for answer in answers] == [201] * len(names)
    assert [answer.json().get("warnings") for answer in answers] == [None] * len(names)
    assert [body["steps"][0] for body in dots.posts] == names


async def test_users_address_goes_to_dots_and_nowhere_else(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine, logs: Logs
) -> None:
    """The header has the usual form of the address; no row, answer or log line has any."""
    body = {"steps": ["compliance"], "user_ip": "2001:DB8:0:0::17"}
    headers = {"Idempotency-Key": "k"}
    answer = await client.post("/v1/flows", json=body, headers=headers)
    elsewhere = await client.post("/v1/flows", json=body | {"user_ip": "192.0.2.1"}, headers=headers)
    without = await client.post("/v1/flows", json={"steps": ["compliance"], "user_ip": None})

    assert [request.headers.get("Dots-User-IP") for request in dots.requests] == [ADDRESS, None]
    assert [answer.status_code, elsewhere.status_code, without.status_code] == [201, 201, 201]
    assert elsewhere.headers["Idempotent-Replayed"] == "true"
    assert "user_ip" not in dots.posts[0]
    kept = await _everything(engine)
    assert '"compliance"' in kept
    for text_ in (kept, answer.text, str(logs)):
        assert ADDRESS not in text_
        assert "user_ip" not in text_


async def test_users_address_is_not_quoted_and_not_kept_for_a_later_try(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine
) -> None:
    """A refused address is not quoted, and one whose creation failed is not kept for the next try."""
    refused = await client.post("/v1/flows", json={"steps": ["compliance"], "user_ip": "203.0.113.999"})
    dots.faults.append(httpx.ReadTimeout("late"))
    unsettled = await client.post("/v1/flows", json={"steps": ["compliance"], "user_ip": ADDRESS})

    assert "203.0.113" not in refused.text
    assert unsettled.status_code == 504
    assert ADDRESS not in unsettled.text
    assert ADDRESS not in await _everything(engine)


TEXTS = ["", " ", "vip", "null", "17", '{"a": 1}', '"quoted"', '{"dots_gateway_ref": "x"}', "é\n" * 250]


@pytest.mark.parametrize("given", TEXTS, ids=lambda given: ascii(given)[:30])
async def test_text_as_metadata_comes_back_as_it_was(client: httpx.AsyncClient, dots: MemoryDots, given: str) -> None:
    """Dots gets an object, which our reference needs; the caller gets the text."""
    created = await client.post("/v1/flows", json={"steps": ["compliance"], "metadata": given})
    read = await client.get(f"/v1/flows/{created.json()['id']}")
    refreshed = await client.post(f"/v1/flows/{created.json()['id']}/refresh")

    assert dots.posts[0]["metadata"]["dots_gateway_text"] == given
    assert [answer.json()["metadata"] for answer in (created, read, refreshed)] == [given] * 3


async def _everything(engine: AsyncEngine) -> str:
    """Every row of every table, as text."""
    found: list[Any] = []
    async with engine.connect() as connection:
        for table in tables.sorted_tables:
            found += (await connection.execute(text(f'SELECT t::text FROM "{table.name}" t'))).scalars()  # noqa: S608
    return "\n".join(found)


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://127.0.0.1:9000/api", True),
        ("http://localhost:9000/api", True),
        ("http://[::1]:9000/api", True),
        ("http://simulator:9000/api", False),
        ("https://api.dots.dev/api", False),
    ],
)
async def test_redirect_to_localhost_needs_a_dots_there(inputs: AllInputs, base_url: str, *, expected: bool) -> None:
    """Only a simulator on this machine has payees on this machine."""
    gate = inputs.clients["default"].gate
    async with DotsClient(fake_dots.access(base_url=base_url), gate=gate) as asking:
        assert asking.is_on_loopback is expected
