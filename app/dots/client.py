"""Dots' API as four questions, asked with the credentials of one Dots app; hands out snapshots.

Source: https://docs.dots.dev/api-reference, as gathered in the project's notes, read 2026-11-23.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from app.dots import answers, wire
from app.dots.connection import Connection
from app.dots.network import Network
from app.errors import DotsNotFoundError, SettingsError
from app.flows.snapshots import FlowPage, FlowSnapshot, UserSnapshot

_DEFAULT_NETWORK = Network()
_TEN_SECONDS = timedelta(seconds=10)
_FLOWS_PATH = "/v2/flows"
_USERS_PATH = "/v2/users"
_PATH = re.compile(r"(?:/[A-Za-z0-9_-]+)+/?")
_HEADER_VALUE = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, kw_only=True)
class DotsAccess:
    """How to reach one Dots app; `app_id` is for the keys of an organization.

    `base_url` ends in `/api` or `/api/v2`; `setting_prefix` begins the names of the settings this comes from.
    """

    app: str
    base_url: str
    client_id: str = field(repr=False)
    api_key: str = field(repr=False)
    app_id: str | None
    create_path: str = _FLOWS_PATH
    setting_prefix: str = "DOTS_"


def utc_now() -> datetime:
    """The machine's clock, aware."""
    return datetime.now(UTC)


class DotsClient:
    """Dots for one app; each call makes one request, ends within `timeout`, and fails only as DotsError.

    Beside the errors of what it asks for, every call raises DotsUnreachableError or DotsThrottledError (not
    carried out), DotsUnansweredError, DotsFailedError or DotsGibberishError (perhaps carried out), or
    DotsCredentialsError. Asking again is harmless for all but `create_flow`.
    """

    def __init__(
        self,
        access: DotsAccess,
        *,
        timeout: timedelta = _TEN_SECONDS,
        network: Network = _DEFAULT_NETWORK,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Connect to nothing yet; raises SettingsError when `access` cannot be put into a request."""
        if not _PATH.fullmatch(access.create_path):
            raise SettingsError(
                f"The path to create flows for the Dots app {access.app!r} is not a path like /v2/flows."
            )
        self._create_path = access.create_path
        self._now = now
        try:
            self._connection = Connection(
                access.base_url,
                credentials=(access.client_id, access.api_key),
                headers=_standing_headers(access),
                timeout=timeout,
                network=network,
                transport=transport,
            )
        except ValueError as error:
            raise SettingsError(f"{access.setting_prefix}API_URL {error}.") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connection.aclose()

    async def create_flow(self, body: dict[str, Any], *, user_ip: str | None = None) -> FlowSnapshot:
        """Create a flow from the body of `wire.write_flow`; Dots makes another one when this is repeated.

        Raises DotsRefusedError when Dots will not have it.
        """
        headers = {} if user_ip is None else {"Dots-User-IP": user_ip}
        answer = await self._connection.exchange("POST", self._create_path, body=body, headers=headers)
        return wire.read_flow(self._read(answer))

    async def get_flow(self, flow_id: str) -> FlowSnapshot:
        """The flow as it is now; raises DotsNotFoundError."""
        answer = await self._connection.exchange("GET", _path_of(_FLOWS_PATH, flow_id))
        return wire.read_flow(self._read(answer))

    async def list_flows(self, *, limit: int = 100, starting_after: str | None = None) -> FlowPage:
        """One page of the app's flows, from after the flow `starting_after`; `limit` is 1 to 100."""
        query = {"limit": str(limit)}
        if starting_after is not None:
            query["starting_after"] = starting_after
        answer = await self._connection.exchange("GET", _FLOWS_PATH, query=query)
        return wire.read_flow_page(self._read(answer))

    async def get_user(self, user_id: str) -> UserSnapshot:
        """The user as they are now; raises DotsNotFoundError."""
        answer = await self._connection.exchange("GET", _path_of(_USERS_PATH, user_id))
        return wire.read_user(self._read(answer))

    def _read(self, answer: answers.Answer) -> object:
        return answers.read_answer(answer, now=self._now())


def _standing_headers(access: DotsAccess) -> dict[str, str]:
    headers = {"User-Agent": "dots-gateway"}
    if access.app_id is not None:
        if not _HEADER_VALUE.fullmatch(access.app_id):
            raise SettingsError(f"{access.setting_prefix}APP_ID cannot be sent in a header.")
        headers["Api-App-Id"] = access.app_id
    return headers


def _path_of(collection: str, subject_id: str) -> str:
    """The path of one object; an id that a URL would take for its own syntax cannot be one of Dots'."""
    if subject_id in {"", ".", ".."}:
        raise DotsNotFoundError
    try:
        return f"{collection}/{quote(subject_id, safe='')}"
    except UnicodeEncodeError:
        raise DotsNotFoundError from None
