import logging

import httpx
import pytest

from dots_gateway_client import Gateway, MemoryCursor, UnavailableError
from tests.clients.following import steps, steps_of, take
from tests.clients.script import Answer, Script, page, problem

TEMPORARY: dict[str, Answer] = {
    "connection refused": httpx.ConnectError("refused"),
    "connect time-out": httpx.ConnectTimeout(""),
    "read time-out": httpx.ReadTimeout(""),
    "cut answer": httpx.ReadError(""),
    "closed connection": httpx.RemoteProtocolError("disconnected"),
    "proxy error": httpx.ProxyError(""),
    "undecodable body": httpx.DecodingError(""),
    "408": problem(408, "body_too_slow"),
    "429": problem(429, "throttled"),
    "500": problem(500, "internal"),
    "502 of a proxy": httpx.Response(502, html="<h1>Bad Gateway</h1>"),
    "503": problem(503, "database_unavailable"),
    "504 of a proxy": httpx.Response(504),
}


@pytest.mark.parametrize("failure", TEMPORARY.values(), ids=TEMPORARY)
async def test_temporary_failures_are_retried(failure: Answer) -> None:
    """The client requests the same page again after a pause."""
    script = Script(answers=[page(1, cursor="a"), failure, page(2, 3, cursor="b")])

    async with script.gateway() as gateway:
        found = await take(gateway, 3)

    assert steps_of(found) == steps(1, 3)
    assert script.pauses == [0.375]
    assert [request.url.params.get("after") for request in script.requests] == [None, "a", "a"]


async def test_pauses_grow_to_half_a_minute_and_an_answer_resets_them(caplog: pytest.LogCaptureFixture) -> None:
    """They double from half a second to 30 s. Up to half of each is jitter. Each pause logs a warning."""
    failures = [httpx.ConnectError("refused") for _ in range(9)]
    script = Script(answers=[*failures, page(1, cursor="a"), httpx.ConnectError("refused"), page(2, cursor="b")])

    with caplog.at_level(logging.WARNING, logger="dots_gateway_client"):
        async with script.gateway() as gateway:
            await take(gateway, 2)

    assert script.pauses == [0.375, 0.75, 1.5, 3.0, 6.0, 12.0, 22.5, 22.5, 22.5, 0.375]
    assert caplog.messages[:2] == [
        "The gateway did not answer (ConnectError: refused); retrying in 0.4 s",
        "The gateway did not answer (ConnectError: refused); retrying in 0.8 s",
    ]
    assert len(caplog.messages) == len(script.pauses)


NOON = "Mon, 23 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "7"}, 7.375),
        ({"Retry-After": "0"}, 0.375),
        ({"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT", "Date": NOON}, 30.375),
        ({"Retry-After": "Mon, 23 Nov 2026 11:00:00 GMT", "Date": NOON}, 0.375),  # in the past
        ({"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"}, 0.375),  # unknown clock
        ({"Retry-After": "soon"}, 0.375),
        ({"Retry-After": "-5"}, 0.375),
        ({"Retry-After": "31536000"}, 3600.375),  # a year is capped to an hour
    ],
)
async def test_retry_after_delays_the_next_attempt(headers: dict[str, str], pause: float) -> None:
    """The pause is longer than `Retry-After`, so that not all clients retry at the same moment."""
    script = Script(answers=[problem(503, "overloaded", **headers), page(1, cursor="a")])

    async with script.gateway() as gateway:
        await take(gateway, 1)

    assert script.pauses == [pause]


async def test_jitter_is_up_to_half_of_a_pause() -> None:
    """Clients that failed at the same moment retry at different moments, and none retries immediately."""
    script = Script(answers=[])

    def gateway(jitter: float) -> Gateway:
        script.answers = [problem(503, "overloaded"), page(1, cursor="a")]
        transport = httpx.MockTransport(script)
        return Gateway("http://gateway", "key", transport=transport, sleep=script.sleep, jitter=lambda: jitter)

    for jitter in (0.0, 1.0):
        async with gateway(jitter) as client:
            await take(client, 1)

    assert script.pauses == [0.25, 0.5]


async def test_permanent_failures_are_not_retried() -> None:
    """A malformed request always fails, so the client raises its error."""
    script = Script(answers=[httpx.LocalProtocolError("Illegal header value")])

    async with script.gateway() as gateway:
        with pytest.raises(httpx.LocalProtocolError):
            await take(gateway, 1)

    assert script.pauses == []


async def test_get_flow_gives_up() -> None:
    """It raises the last error if the pauses would take longer than a minute."""
    script = Script(answers=[problem(503, "database_unavailable", **{"Retry-After": "25"}) for _ in range(3)])

    async with script.gateway() as gateway:
        with pytest.raises(UnavailableError) as raised:
            await gateway.get_flow("flow-1")

    assert (raised.value.status, raised.value.retry_after_seconds) == (503, 25)
    assert script.pauses == [25.375, 25.75]


def test_url_must_be_http() -> None:
    """Without this check a URL without a scheme would look like an unreachable gateway."""
    with pytest.raises(ValueError, match="must begin with http"):
        Gateway("localhost:8000", "key")


async def test_time_out_is_longer_than_the_long_poll() -> None:
    """A requested wait is not a failure."""
    script = Script(answers=[page(1, cursor="a")])

    async with script.gateway() as gateway:
        await take(gateway, 1)

    (request,) = script.requests
    assert request.extensions["timeout"]["read"] >= float(request.url.params["wait"]) + 10


@pytest.mark.parametrize("key", ["", "\n", "dgw_\n1", "dgw_é"])
def test_malformed_key_is_an_error(key: str) -> None:
    """The caller notices a missing setting at the start."""
    with pytest.raises(ValueError, match="begins with dgw_"):
        Gateway("http://gateway", key)


async def test_key_can_end_in_a_line_break() -> None:
    """For example, if it is read from a file. The representation does not show the key."""
    script = Script(answers=[page(1, cursor="a")])
    transport = httpx.MockTransport(script)

    async with Gateway("http://gateway/behind/", "dgw_secret\n", transport=transport) as gateway:
        await take(gateway, 1, MemoryCursor())

    assert script.requests[0].headers["authorization"] == "Bearer dgw_secret"
    assert str(script.requests[0].url) == "http://gateway/behind/v1/events?limit=100&wait=25"
    assert "dgw_secret" not in repr(gateway)
