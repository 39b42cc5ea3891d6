import logging

import httpx
import pytest

from dots_gateway_client import Gateway, MemoryCursor, UnavailableError
from tests.clients.following import steps, steps_of, take
from tests.clients.script import Answer, Script, page, problem

PASSING: list[tuple[str, Answer]] = [
    ("nobody listens", httpx.ConnectError("refused")),
    ("no way there", httpx.ConnectTimeout("")),
    ("no answer in time", httpx.ReadTimeout("")),
    ("cut while answering", httpx.ReadError("")),
    ("gone without an answer", httpx.RemoteProtocolError("disconnected")),
    ("a proxy that cannot", httpx.ProxyError("")),
    ("a body that does not unpack", httpx.DecodingError("")),
    ("too slow a body", problem(408, "body_too_slow")),
    ("throttled", problem(429, "throttled")),
    ("a bug", problem(500, "internal")),
    ("a proxy without a server", httpx.Response(502, html="<h1>Bad Gateway</h1>")),
    ("the database is away", problem(503, "database_unavailable")),
    ("a proxy's time-out", httpx.Response(504)),
]


@pytest.mark.parametrize(("name", "failure"), PASSING, ids=[name for name, _ in PASSING])
async def test_what_passes_is_asked_again(name: str, failure: Answer) -> None:
    """The same page is asked for again after a pause, and the consumer notices nothing."""
    del name
    script = Script(answers=[page(1, cursor="a"), failure, page(2, 3, cursor="b")])

    async with script.gateway() as gateway:
        found = await take(gateway, 3)

    assert steps_of(found) == steps(1, 3)
    assert script.pauses == [0.375]
    assert [request.url.params.get("after") for request in script.requests] == [None, "a", "a"]


async def test_pauses_grow_to_half_a_minute_and_begin_anew(caplog: pytest.LogCaptureFixture) -> None:
    """Doubled from half a second to 30 s, of which up to half is chance; an answer ends the row."""
    row = [httpx.ConnectError("refused") for _ in range(9)]
    script = Script(answers=[*row, page(1, cursor="a"), httpx.ConnectError("refused"), page(2, cursor="b")])

    with caplog.at_level(logging.WARNING, logger="dots_gateway_client"):
        async with script.gateway() as gateway:
            await take(gateway, 2)

    assert script.pauses == [0.375, 0.75, 1.5, 3.0, 6.0, 12.0, 22.5, 22.5, 22.5, 0.375]
    assert caplog.messages[:2] == [
        "The gateway did not answer (ConnectError: refused); asking again in 0.4 s",
        "The gateway did not answer (ConnectError: refused); asking again in 0.8 s",
    ]
    assert len(caplog.messages) == len(script.pauses)


RETRY_AFTER = [
    ({"Retry-After": "7"}, 7.375, "seconds"),
    ({"Retry-After": "0"}, 0.375, "at once"),
    (
        {"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT", "Date": "Mon, 23 Nov 2026 12:00:00 GMT"},
        30.375,
        "a time, by the sender's own clock",
    ),
    ({"Retry-After": "Mon, 23 Nov 2026 11:00:00 GMT", "Date": "Mon, 23 Nov 2026 12:00:00 GMT"}, 0.375, "long ago"),
    ({"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"}, 0.375, "a time, but by whose clock?"),
    ({"Retry-After": "soon"}, 0.375, "not a time at all"),
    ({"Retry-After": "-5"}, 0.375, "not a length of time"),
    ({"Retry-After": "31536000"}, 3600.375, "a year is a mistake of somebody's"),
]


@pytest.mark.parametrize(("headers", "pause", "name"), RETRY_AFTER, ids=[name for *_, name in RETRY_AFTER])
async def test_retry_after_is_honoured(headers: dict[str, str], pause: float, name: str) -> None:
    """The gateway is left alone for as long as it asks, and a little longer, so that not all come back at once."""
    del name
    script = Script(answers=[problem(503, "overloaded", **headers), page(1, cursor="a")])

    async with script.gateway() as gateway:
        await take(gateway, 1)

    assert script.pauses == [pause]


async def test_chance_is_half_of_a_pause() -> None:
    """Clients that failed together do not come back together, and none comes back at once."""
    script = Script(answers=[])

    def gateway(jitter: float) -> Gateway:
        script.answers = [problem(503, "overloaded"), page(1, cursor="a")]
        transport = httpx.MockTransport(script)
        return Gateway("http://gateway", "key", transport=transport, sleep=script.sleep, jitter=lambda: jitter)

    for jitter in (0.0, 1.0):
        async with gateway(jitter) as client:
            await take(client, 1)

    assert script.pauses == [0.25, 0.5]


async def test_what_never_passes_is_not_asked_again() -> None:
    """A malformed request fails the same way every time, so that its error comes out."""
    script = Script(answers=[httpx.LocalProtocolError("Illegal header value")])

    async with script.gateway() as gateway:
        with pytest.raises(httpx.LocalProtocolError):
            await take(gateway, 1)

    assert script.pauses == []


async def test_reading_one_flow_gives_up() -> None:
    """Whoever waits for an answer is told that there is none, when pauses would take longer than its patience."""
    script = Script(answers=[problem(503, "database_unavailable", **{"Retry-After": "25"}) for _ in range(3)])

    async with script.gateway() as gateway:
        with pytest.raises(UnavailableError) as raised:
            await gateway.get_flow("flow-1")

    assert (raised.value.status, raised.value.retry_after_seconds) == (503, 25)
    assert script.pauses == [25.375, 25.75]


def test_url_must_be_http() -> None:
    """A URL without its scheme would look like a gateway that is never there."""
    with pytest.raises(ValueError, match="begins with http"):
        Gateway("localhost:8000", "key")


async def test_long_poll_is_given_time_to_answer() -> None:
    """A wait that the gateway was asked for is no failure."""
    script = Script(answers=[page(1, cursor="a")])

    async with script.gateway() as gateway:
        await take(gateway, 1)

    (request,) = script.requests
    assert request.extensions["timeout"]["read"] >= float(request.url.params["wait"]) + 10


@pytest.mark.parametrize("key", ["", "\n", "dgw_\n1", "dgw_é"])
def test_key_must_be_one(key: str) -> None:
    """A setting that is missing is told when the service starts."""
    with pytest.raises(ValueError, match="begins with dgw_"):
        Gateway("http://gateway", key)


async def test_key_may_end_in_a_line_break() -> None:
    """As it does when it is read from a file; it is sent, and shown nowhere."""
    script = Script(answers=[page(1, cursor="a")])
    transport = httpx.MockTransport(script)

    async with Gateway("http://gateway/behind/", "dgw_secret\n", transport=transport) as gateway:
        await take(gateway, 1, MemoryCursor())

    assert script.requests[0].headers["authorization"] == "Bearer dgw_secret"
    assert str(script.requests[0].url) == "http://gateway/behind/v1/events?limit=100&wait=25"
    assert "dgw_secret" not in repr(gateway)
