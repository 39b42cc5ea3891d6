"""One HTTP exchange with Dots, bounded in time and size. `answers` reads the answer.

A failure before the first byte was sent becomes DotsUnreachableError: Dots did not carry the request out. Any other
failure becomes DotsUnansweredError: Dots may have carried it out.

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
"""A longer answer is not read to its end. A page of 100 flows is about a tenth of this."""

_HEADER_VALUE = re.compile(r"[!-~]{1,255}")

# Both limits are equal. With a lower limit on idle connections, httpcore 1.0.9 counts busy ones too and closes all idle
# ones above it, perhaps one that a call has just been given (encode/httpcore#1110). Common servers close an idle
# connection after five seconds. We close it earlier: a creation sent during such a close would have an unknown outcome.
_LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=32, keepalive_expiry=3)

# Waiting for a free connection, connecting, and the TLS handshake may each take a quarter of the deadline. A Dots that
# cannot be reached is then reported as unreachable, and not as an unknown outcome at the deadline.
_CONNECT_SHARE = 0.25

_NOT_FORMED = (httpx.InvalidURL, ValueError, TypeError, RecursionError)
# A ProxyError means that the proxy refused to connect. The request would have been sent afterwards.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
# The broad classes cover errors that httpx does not wrap. They may occur at any time during the call.
_PERHAPS_SENT = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError)


class Connection:
    """The URL, credentials, deadline and connection pool of one Dots app."""

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
        """Open no connection yet. Raises ValueError for an unusable base URL, and does not quote it."""
        self._base_url = _read_base_url(base_url)
        self._timeout_seconds = timeout.total_seconds()
        early = self._timeout_seconds * _CONNECT_SHARE
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(*credentials),
            headers={**headers, "Accept": "application/json", "Accept-Encoding": "identity"},
            # Refuse cookies: Dots needs none, and a load balancer's would bind us to one of its machines.
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
        """Close all connections."""
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
        """Send one request and return the answer.

        Raises DotsUnreachableError or DotsUnansweredError. The deadline always raises the latter, because the phase in
        which it passed is not known.
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
    """Return the body, or None if it is too large or compressed: a small answer can unpack into gigabytes."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return None
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_LIMIT_BYTES:
            return None
    return bytes(body)


def _read_base_url(base_url: str) -> str:
    """Return the base URL without `/v2` and slashes at its end."""
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
    """Raise ValueError for a header that httpx would refuse only while sending, when the outcome is uncertain."""
    if not all(_HEADER_VALUE.fullmatch(value) for value in headers.values()):
        raise ValueError


def _without_content(kind: type[DotsError], error: Exception) -> DotsError:
    """Return our error with only the class name of httpx's: its text may quote a URL, a header or Dots' answer."""
    return kind(f"{kind.__doc__} ({type(error).__name__})")
