"""One HTTP exchange with Dots, bounded in time and size; what the answer means is in `answers`.

What decides every mapping here is one question: may Dots have carried the request out? Only a failure
from before the first byte was sent (DotsUnreachableError) says no; in doubt it is DotsUnansweredError.

Source: https://www.python-httpx.org/exceptions/, read 2026-11-23.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from app.dots.answers import Answer
from app.dots.network import Network
from app.errors import DotsError, DotsUnansweredError, DotsUnreachableError

ANSWER_LIMIT_BYTES = 2 * 1024 * 1024
"""The most that is read of one answer: a page of 100 flows is about a tenth of it."""

_HEADER_VALUE = re.compile(r"[!-~]{1,255}")

# Whatever may be open may stay open. Where fewer may stay, httpcore 1.0.9 counts busy connections too, and closes every
# idle one while there are more: each call has one of its own then, and one may be closed that a call was just given
# (encode/httpcore#1110). They stay for less than the five seconds after which common servers close an idle connection:
# a creation that crossed such a closing would have an unknown outcome.
_LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=32, keepalive_expiry=3)

# Waiting for a free connection, connecting and greeting (TLS) take a quarter of the deadline each at most, so
# that a Dots that cannot be reached shows as that, and not as a deadline of which nothing certain can be said.
_CONNECT_SHARE = 0.25

_NOT_FORMED = (httpx.InvalidURL, ValueError, TypeError, RecursionError)
# A ProxyError is a proxy's refusal to connect us: the request itself would have been sent through it afterwards.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
# The broad ones are for what slips through httpx: an error for certain, and nobody knows how late.
_PERHAPS_SENT = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError)


class Connection:
    """The way to one Dots app: its URL, credentials, deadline and pool of sockets."""

    def __init__(
        self,
        base_url: str,
        *,
        credentials: tuple[str, str],
        headers: Mapping[str, str],
        timeout: timedelta,
        network: Network,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        """Connect to nothing yet; raises ValueError for a base URL that is none, and quotes nothing of it."""
        self._base_url = _read_base_url(base_url)
        self._timeout_seconds = timeout.total_seconds()
        early = self._timeout_seconds * _CONNECT_SHARE
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(*credentials),
            headers={**headers, "Accept": "application/json", "Accept-Encoding": "identity"},
            # Cookies are refused: Dots needs none, and a balancer's would bind us to one of their machines.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=httpx.Timeout(self._timeout_seconds, connect=early, pool=early),
            limits=_LIMITS,
            transport=transport,
            verify=network.trusted or True,
            proxy=network.proxy,
            follow_redirects=False,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close every socket."""
        await self._http.aclose()

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once, and return whatever was answered.

        Raises DotsUnreachableError or DotsUnansweredError. The deadline always gives the latter, even when
        it fell while connecting: afterwards that cannot be told.
        """
        request = self._form_request(method, path, query, body, headers)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._send(request)
        except _NOT_SENT as error:
            raise _without_content(DotsUnreachableError, error) from None
        except _PERHAPS_SENT as error:
            raise _without_content(DotsUnansweredError, error) from None

    def _form_request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: dict[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> httpx.Request:
        own_headers = dict(headers or {})
        try:
            _check_header_values(own_headers)
            content = None
            if body is not None:
                content = json.dumps(body, allow_nan=False).encode("ascii")
                own_headers["Content-Type"] = "application/json"
            return self._http.build_request(
                method, self._base_url + path, params=query, content=content, headers=own_headers
            )
        except _NOT_FORMED as error:
            raise _without_content(DotsUnreachableError, error) from None

    async def _send(self, request: httpx.Request) -> Answer:
        response = await self._http.send(request, stream=True)
        try:
            return Answer(
                status=response.status_code,
                retry_after=response.headers.get("Retry-After"),
                body=await _read_body(response),
            )
        finally:
            await response.aclose()


async def _read_body(response: httpx.Response) -> bytes | None:
    """The body, or None when it is compressed (a small answer can unfold into gigabytes) or too large."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return None
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_LIMIT_BYTES:
            return None
    return bytes(body)


def _read_base_url(base_url: str) -> str:
    """The base URL up to where our paths begin: without `/v2` and without slashes at its end."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise ValueError("is not a URL") from None
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError("must be http(s)://, a host and a path, and no more")
    parts = [part for part in url.path.split("/") if part]
    if parts[-1:] == ["v2"]:
        parts.pop()
    return str(url.copy_with(path="/" + "/".join(parts))).rstrip("/")


def _check_header_values(headers: Mapping[str, str]) -> None:
    """Raise ValueError for what httpx would only find out while sending, when it is too late to be sure."""
    if not all(_HEADER_VALUE.fullmatch(value) for value in headers.values()):
        raise ValueError


def _without_content(kind: type[DotsError], error: Exception) -> DotsError:
    """Our error, with only the name of theirs: its text may quote a URL, a header or what Dots sent."""
    return kind(f"{kind.__doc__} ({type(error).__name__})")
