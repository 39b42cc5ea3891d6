import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from app.dots.client import DotsClient
from app.errors import (
    DotsError,
    DotsInvalidResponseError,
    DotsThrottledError,
    DotsUnansweredError,
    DotsUnreachableError,
)
from tests.dots.fake_dots import API_KEY, FLOW, FLOW_JSON, USER, Recorder, client
from tests.dots.gates import permit

CALLS: list[Callable[[DotsClient], Awaitable[object]]] = [
    lambda asking: asking.create_flow(permit(asking), {"steps": ["payout"]}),
    lambda asking: asking.get_flow(permit(asking), FLOW),
    lambda asking: asking.list_flows(permit(asking), starting_after=FLOW),
    lambda asking: asking.get_user(permit(asking), USER),
]

FAILURES: list[tuple[Exception, type[DotsError]]] = [
    # Before a byte of the request went out.
    (httpx.ConnectError("sk_dev_very_secret"), DotsUnreachableError),
    (httpx.ConnectTimeout("sk_dev_very_secret"), DotsUnreachableError),
    (httpx.PoolTimeout("sk_dev_very_secret"), DotsUnreachableError),
    (httpx.UnsupportedProtocol("sk_dev_very_secret"), DotsUnreachableError),
    # Perhaps afterwards.
    (httpx.WriteError("sk_dev_very_secret"), DotsUnansweredError),
    (httpx.WriteTimeout("sk_dev_very_secret"), DotsUnansweredError),
    (httpx.ReadError("sk_dev_very_secret"), DotsUnansweredError),
    (httpx.ReadTimeout("sk_dev_very_secret"), DotsUnansweredError),
    (httpx.CloseError("sk_dev_very_secret"), DotsUnansweredError),
    (httpx.RemoteProtocolError("sk_dev_very_secret"), DotsUnansweredError),
    (httpx.LocalProtocolError("sk_dev_very_secret"), DotsUnansweredError),
    (httpx.ProxyError("sk_dev_very_secret"), DotsUnreachableError),
    (httpx.DecodingError("sk_dev_very_secret"), DotsUnansweredError),
    (httpx.InvalidURL("sk_dev_very_secret"), DotsUnansweredError),
    # Errors that httpx should wrap.
    (OSError("sk_dev_very_secret"), DotsUnansweredError),
    (TimeoutError("sk_dev_very_secret"), DotsUnansweredError),
    (ValueError("sk_dev_very_secret"), DotsUnansweredError),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("failure", "expected"), FAILURES, ids=lambda it: getattr(it, "__name__", repr(it)))
async def test_httpx_error_becomes_ours_without_its_text(
    *, call: Callable[[DotsClient], Awaitable[object]], failure: Exception, expected: type[DotsError]
) -> None:
    """Our error says whether Dots may have received the request, and does not quote httpx's text."""

    def fail(_request: httpx.Request) -> httpx.Response:
        raise failure

    async with client(fail) as asking:
        with pytest.raises(DotsError) as raised:
            await call(asking)

    assert type(raised.value) is expected
    assert type(failure).__name__ in str(raised.value)
    assert API_KEY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("call", CALLS)
async def test_throttled_call_says_how_long_to_wait(call: Callable[[DotsClient], Awaitable[object]]) -> None:
    """The client's clock is used to read a `Retry-After` that is a date."""
    dots = Recorder({}, status=429, headers={"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"})

    async with client(dots) as asking:
        with pytest.raises(DotsThrottledError) as raised:
            await call(asking)

    assert raised.value.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize("location", ["https://evil.example/", "/v2/flows", "", "http://[", "://"])
async def test_redirect_is_not_followed(location: str) -> None:
    """No request goes to the redirect's target, and the outcome is unknown."""
    dots = Recorder(FLOW_JSON, status=307, headers={"Location": location})

    async with client(dots) as asking:
        with pytest.raises((DotsInvalidResponseError, DotsUnansweredError)):
            await asking.get_flow(permit(asking), FLOW)

    assert len(dots.requests) == 1


deep: list[object] = []
for _ in range(100_000):
    deep = [deep]

UNSENDABLE: list[tuple[dict[str, object], str | None]] = [
    ({"steps": {1, 2}}, None),
    ({"metadata": float("nan")}, None),
    ({"metadata": deep}, None),
    ({}, "203.0.113.1\r\nApi-App-Id: another"),
    ({}, "203.0.113.1\u2028"),
    ({}, ""),
]


@pytest.mark.parametrize(("body", "user_ip"), UNSENDABLE)
async def test_unsendable_request_was_not_carried_out(body: dict[str, object], user_ip: str | None) -> None:
    """A request that cannot be built is not sent."""
    dots = Recorder(FLOW_JSON)

    async with client(dots) as asking:
        with pytest.raises(DotsUnreachableError):
            await asking.create_flow(permit(asking), body, user_ip=user_ip)

    assert dots.requests == []
