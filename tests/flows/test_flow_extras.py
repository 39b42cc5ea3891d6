from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.tables import metadata as tables
from tests.dots import fake_dots
from tests.dots.memory_dots import MemoryDots
from tests.surroundings import Logs

ADDRESS = "2001:db8::17"


async def test_warnings_come_with_the_flow_and_its_repeats(client: httpx.AsyncClient) -> None:
    """A step that looks misspelt is sent to Dots, and the answer has a warning."""
    body = {"steps": ["complience", {"name": "redirect", "redirect_url": "https://a.technology/"}]}
    answers = [await client.post("/v1/flows", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    first, second = (answer.json()["warnings"] for answer in answers)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert first[0] == "did you mean compliance?"
    assert first[1].startswith("steps.1.redirect_url: ")
    assert len(first) == 2
    assert second == first


async def test_sign_up_steps_may_be_sent_with_a_user(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """Dots' guide lists `onboard`, and public code sends it for a known user."""
    names = ["onboard", "authorization", "onboarding", "authentication"]
    answers = [
        await client.post("/v1/flows", json={"steps": [name, "payout"], "user_id": fake_dots.USER}) for name in names
    ]

    assert [answer.status_code for answer in answers] == [201] * len(names)
    assert [answer.json().get("warnings") for answer in answers] == [None] * len(names)
    assert [body["steps"][0] for body in dots.posts] == names


async def test_users_address_goes_only_to_dots(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine, logs: Logs
) -> None:
    """The header has the usual form of the address. No row, answer or log line has it."""
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


async def test_users_address_is_neither_quoted_nor_stored(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine
) -> None:
    """An invalid address is not quoted, and the address of a creation without an answer is not stored."""
    refused = await client.post("/v1/flows", json={"steps": ["compliance"], "user_ip": "203.0.113.999"})
    dots.faults.append(httpx.ReadTimeout("late"))
    unsettled = await client.post("/v1/flows", json={"steps": ["compliance"], "user_ip": ADDRESS})

    assert "203.0.113" not in refused.text
    assert unsettled.status_code == 504
    assert ADDRESS not in unsettled.text
    assert ADDRESS not in await _everything(engine)


async def _everything(engine: AsyncEngine) -> str:
    """Return every row of every table as text."""
    found: list[Any] = []
    async with engine.connect() as connection:
        for table in tables.sorted_tables:
            found += (await connection.execute(text(f'SELECT t::text FROM "{table.name}" t'))).scalars()  # noqa: S608
    return "\n".join(found)
