"""Where webhooks may be sent, and what is said and noted of those that are sent elsewhere."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.web import bounded_log
from tests.all_inputs import AllInputs, HandClock
from tests.dots.signed_webhooks import BODY
from tests.storage import stored
from tests.surroundings import Logs
from tests.webhooks.sending import (
    KEY,
    OTHER_KEY,
    PATH,
    signed,
)

WRONG_PATHS = [
    "/webhooks",
    "/webhooks/",
    "/webhooks/dots//",
    "/webhooks//dots",
    "/webhooks/dot",
    "/webhooks/dots/nobody",
    "/webhooks/dots/nobody/",
    "/webhooks/dots/eu/more",
    "/webhooks/svix",
    "/webhooksdots",
]


def counted(inputs: AllInputs, app: str, outcome: str) -> float:
    """How often that has become of a webhook."""
    labels = {"app": app, "outcome": outcome}
    return inputs.telemetry.registry.get_sample_value("dots_gateway_webhooks_total", labels) or 0


def lines_of(logs: Logs) -> list[dict[str, object]]:
    """What was logged of webhooks that were not taken."""
    return [dict(line) for line in logs if line["event"] == "webhook not taken"]


@pytest.mark.parametrize(("path", "key", "expected"), [(f"{PATH}/", KEY, "default"), (f"{PATH}/eu/", OTHER_KEY, "eu")])
async def test_slash_at_the_end_is_no_other_address(
    stranger: httpx.AsyncClient, engine: AsyncEngine, path: str, key: bytes, expected: str
) -> None:
    """People type it, and a redirect would count as a failure at Dots."""
    answer = await stranger.post(path, headers=signed("msg_1", key=key), content=BODY)

    assert answer.status_code == 204
    assert await stored.rows(engine, "SELECT app FROM webhooks") == [{"app": expected}]


@pytest.mark.parametrize("path", WRONG_PATHS)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_wrong_address_is_404_and_is_noted(
    stranger: httpx.AsyncClient, inputs: AllInputs, logs: Logs, path: str, method: str
) -> None:
    """Dots tells only itself of an endpoint that fails; here it is counted and in the log."""
    answer = await stranger.request(method, path, headers=signed("msg_1"), content=BODY)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert counted(inputs, "", "not_found") == 1
    assert lines_of(logs) == [
        {"event": "webhook not taken", "log_level": "warning", "error": "not_found", "path": path}
    ]


async def test_path_in_the_log_is_short_and_printable(stranger: httpx.AsyncClient, logs: Logs) -> None:
    """Anybody may send anything: no line breaks, no terminal codes, no letters that turn the text around."""
    await stranger.post("/webhooks/%0A%1B%5B31m%E2%80%AE%C3%A9\x5c" + "x" * 5_000)

    (line,) = lines_of(logs)
    path = str(line["path"])
    assert path.startswith("/webhooks/\\n\\x1b[31m\\u202e\\xe9")
    assert len(path) == 100
    assert path.isascii()
    assert path.isprintable()


async def test_query_is_not_logged(stranger: httpx.AsyncClient, logs: Logs) -> None:
    """It may hold somebody's token."""
    await stranger.post("/webhooks/dot?token=secret")

    assert "secret" not in str(lines_of(logs))


@pytest.mark.parametrize("path", [PATH, f"{PATH}/", f"{PATH}/eu"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
async def test_other_method_is_405_with_the_right_one(
    stranger: httpx.AsyncClient, inputs: AllInputs, logs: Logs, path: str, method: str
) -> None:
    """Only where POST would be taken: elsewhere there is nothing to allow."""
    answer = await stranger.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert counted(inputs, "eu" if path.endswith("eu") else "default", "wrong_method") == 1
    assert [line["error"] for line in lines_of(logs)] == ["method_not_allowed"]


@pytest.mark.parametrize(
    ("path", "label", "outcome"), [("/webhooks/dot", "", "not_found"), (PATH, "default", "refused")]
)
async def test_flood_is_counted_but_not_logged_line_by_line(
    stranger: httpx.AsyncClient, inputs: AllInputs, logs: Logs, clock: HandClock, *, path: str, label: str, outcome: str
) -> None:
    """Whoever has no secret cannot fill the disk; the next minute tells how many lines were left out."""
    for _ in range(bounded_log.LINES + 7):
        await stranger.post(path, content=b"{}")
    in_flood = len(lines_of(logs))

    clock.advance(bounded_log.MINUTE)
    await stranger.post(path, content=b"{}")

    assert in_flood == bounded_log.LINES
    assert lines_of(logs)[-1]["left_out"] == 7
    assert counted(inputs, label, outcome) == bounded_log.LINES + 8


async def test_flood_of_one_kind_does_not_hide_another(stranger: httpx.AsyncClient, logs: Logs) -> None:
    """A wrong secret is still seen while somebody guesses addresses."""
    for _ in range(bounded_log.LINES + 1):
        await stranger.post("/webhooks/dot", content=b"{}")

    await stranger.post(PATH, content=b"{}")

    assert lines_of(logs)[-1]["reason"] == "headers missing"
