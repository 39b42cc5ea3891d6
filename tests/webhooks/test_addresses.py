"""Webhooks sent to a wrong path or with a wrong method are refused, counted and logged."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.web import bounded_log
from tests.all_inputs import AllInputs, HandClock
from tests.dots.signed_webhooks import BODY
from tests.storage import stored
from tests.surroundings import Logs
from tests.webhooks.sending import KEY, OTHER_KEY, PATH, signed

WRONG_PATHS = [
    "/webhooks",
    "/webhooks/",
    "/webhooks/dots//",
    "/webhooks//dots",
    "/webhooks/dot",
    "/webhooks/dots/unknown",
    "/webhooks/dots/unknown/",
    "/webhooks/dots/DEFAULT",
    "/webhooks/dots/eu/more",
    "/webhooks/svix",
    "/webhooksdots",
]


def counted(inputs: AllInputs, app: str, outcome: str) -> float:
    """Return the number of webhooks with this outcome."""
    labels = {"app": app, "outcome": outcome}
    return inputs.telemetry.registry.get_sample_value("dots_gateway_webhooks_total", labels) or 0


def lines_of(logs: Logs) -> list[dict[str, object]]:
    """Return the log lines about refused webhooks."""
    return [dict(line) for line in logs if line["event"] == "webhook not taken"]


@pytest.mark.parametrize(("path", "key", "expected"), [(f"{PATH}/", KEY, "default"), (f"{PATH}/eu/", OTHER_KEY, "eu")])
async def test_path_may_end_with_a_slash(
    stranger: httpx.AsyncClient, engine: AsyncEngine, path: str, key: bytes, expected: str
) -> None:
    """People type it, and Dots would count a redirect as a failure."""
    answer = await stranger.post(path, headers=signed("msg_1", key=key), content=BODY)

    assert answer.status_code == 204
    assert await stored.rows(engine, "SELECT app FROM webhooks") == [{"app": expected}]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_wrong_path_is_404_and_logged(
    stranger: httpx.AsyncClient, inputs: AllInputs, logs: Logs, method: str
) -> None:
    """A valid webhook to a wrong path or an unknown app is refused. Otherwise an operator might not notice it."""
    answers = [await stranger.request(method, path, headers=signed("msg_1"), content=BODY) for path in WRONG_PATHS]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert counted(inputs, "", "not_found") == len(WRONG_PATHS)
    assert lines_of(logs) == [
        {"event": "webhook not taken", "log_level": "warning", "error": "not_found", "path": path}
        for path in WRONG_PATHS
    ]
    assert await stored.count(inputs.engine, "webhooks") == 0


async def test_path_in_the_log_is_short_and_printable(stranger: httpx.AsyncClient, logs: Logs) -> None:
    """The log has no line breaks, no terminal codes and no characters that change the direction of the text."""
    await stranger.post("/webhooks/%0A%1B%5B31m%E2%80%AE%C3%A9\x5c" + "x" * 5_000)

    (line,) = lines_of(logs)
    path = str(line["path"])
    assert path.startswith("/webhooks/\\n\\x1b[31m\\u202e\\xe9")
    assert len(path) == 100
    assert path.isascii()
    assert path.isprintable()


async def test_query_is_not_logged(stranger: httpx.AsyncClient, logs: Logs) -> None:
    """A query may contain a token."""
    await stranger.post("/webhooks/dot?token=secret")

    assert "secret" not in str(lines_of(logs))


@pytest.mark.parametrize(
    ("path", "expected"), [(PATH, "default"), (f"{PATH}/", "default"), (f"{PATH}/eu", "eu")], ids=str
)
async def test_other_method_is_405_with_the_right_one(
    stranger: httpx.AsyncClient, inputs: AllInputs, logs: Logs, path: str, expected: str
) -> None:
    """The answer is a problem document that allows POST."""
    methods = ("GET", "PUT", "DELETE", "PATCH", "OPTIONS")
    answers = [await stranger.request(method, path) for method in methods]
    head = await stranger.head(path)

    assert {answer.status_code for answer in (*answers, head)} == {405}
    assert {answer.headers["allow"] for answer in (*answers, head)} == {"POST"}
    assert {answer.json()["code"] for answer in answers} == {"method_not_allowed"}
    assert counted(inputs, expected, "wrong_method") == 6
    assert [line["error"] for line in lines_of(logs)] == ["method_not_allowed"] * 6


@pytest.mark.parametrize(
    ("path", "label", "outcome"), [("/webhooks/dot", "", "not_found"), (PATH, "default", "refused")]
)
async def test_flood_is_counted_but_not_logged_line_by_line(
    stranger: httpx.AsyncClient, inputs: AllInputs, logs: Logs, clock: HandClock, *, path: str, label: str, outcome: str
) -> None:
    """Senders without a secret cannot fill the disk. The next minute's line has the number of omitted lines."""
    for _ in range(bounded_log.LINES + 7):
        await stranger.post(path, content=b"{}")
    in_flood = len(lines_of(logs))

    clock.advance(bounded_log.MINUTE)
    await stranger.post(path, content=b"{}")

    assert in_flood == bounded_log.LINES
    assert lines_of(logs)[-1]["left_out"] == 7
    assert counted(inputs, label, outcome) == bounded_log.LINES + 8


async def test_flood_of_one_kind_does_not_hide_another(stranger: httpx.AsyncClient, logs: Logs) -> None:
    """The log shows a wrong secret even while another sender tries many paths."""
    for _ in range(bounded_log.LINES + 1):
        await stranger.post("/webhooks/dot", content=b"{}")

    await stranger.post(PATH, content=b"{}")

    assert lines_of(logs)[-1]["reason"] == "headers missing"
