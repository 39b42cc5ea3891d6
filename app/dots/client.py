"""The client of Dots' API for one Dots app: creates and reads flows, reads users, returns snapshots.

Source: https://docs.dots.dev/api-reference, as gathered in the project's notes, read 2026-11-23.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from app.dots import answers, redirect_url, wire
from app.dots.connection import Connection
from app.dots.gate import Gate, Permit
from app.dots.network import Network
from app.dots.snapshots import FlowPage, FlowSnapshot, UserSnapshot
from app.errors import (
    DatabaseUnavailableError,
    DotsCredentialsError,
    DotsError,
    DotsForbiddenError,
    DotsNotFoundError,
    DotsThrottledError,
    SettingsError,
    UnknownAppError,
)

_DEFAULT_NETWORK = Network()
_TEN_SECONDS = timedelta(seconds=10)
# After Dots has accepted the credentials in a trial, there is no other trial for this long.
_BELIEVE_TRIAL = timedelta(seconds=10)
_FLOWS_PATH = "/v2/flows"
_USERS_PATH = "/v2/users"
_HEADER_VALUE = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, kw_only=True)
class DotsAccess:
    """How to reach one Dots app. An organization's keys need `app_id`.

    `base_url` ends in `/api` or `/api/v2`. `setting_prefix` is the beginning of the names of these settings.
    """

    app: str
    base_url: str
    client_id: str = field(repr=False)
    api_key: str = field(repr=False)
    app_id: str | None
    setting_prefix: str = "DOTS_"


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


class DotsClient:
    """Calls Dots for one app. A call sends one request, ends within `timeout`, and raises only DotsErrors.

    Each call needs a permit of the client's `gate`. After a 401 or 403 it also tries the credentials.
    Beside the errors that its docstring names, a call raises
    DotsUnreachableError, DotsMisroutedError, DotsBusyError, DotsThrottledError or DotsForbiddenError (not carried out),
    DotsUnansweredError, DotsFailedError or DotsInvalidResponseError (perhaps carried out), or DotsCredentialsError (not
    carried out, and the gate is paused). All calls but `create_flow` can be repeated safely.
    """

    def __init__(
        self,
        access: DotsAccess,
        *,
        gate: Gate,
        timeout: timedelta = _TEN_SECONDS,
        network: Network = _DEFAULT_NETWORK,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Open no connection yet. Raises SettingsError if a request cannot be built from `access`."""
        self.gate = gate
        self._now = now
        self._trial = asyncio.Lock()
        self._accepted_at: datetime | None = None
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
        self.is_on_loopback = redirect_url.is_local(urlsplit(access.base_url).hostname or "")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connection.aclose()

    async def create_flow(self, permit: Permit, body: dict[str, Any], *, user_ip: str | None = None) -> FlowSnapshot:
        """Create a flow from the body of `wire.write_flow`. A repeat creates a second flow.

        Raises DotsRefusedError or DotsNotFoundError if Dots refuses the request.
        """
        headers = {} if user_ip is None else {"Dots-User-IP": user_ip}
        return wire.read_flow(await self._ask(permit, "POST", _FLOWS_PATH, body=body, headers=headers))

    async def get_flow(self, permit: Permit, flow_id: str) -> FlowSnapshot:
        """Return the flow as it is now. Raises DotsNotFoundError."""
        return wire.read_flow(await self._ask(permit, "GET", _path_of(_FLOWS_PATH, flow_id)))

    async def list_flows(self, permit: Permit, *, limit: int = 100, starting_after: str | None = None) -> FlowPage:
        """Return a page of the app's flows that follow `starting_after` in Dots' order. `limit` is 1 to 100."""
        query = {"limit": str(limit)}
        if starting_after is not None:
            query["starting_after"] = starting_after
        return wire.read_flow_page(await self._ask(permit, "GET", _FLOWS_PATH, query=query))

    async def get_user(self, permit: Permit, user_id: str) -> UserSnapshot:
        """Return the user as they are now. Raises DotsNotFoundError."""
        return wire.read_user(await self._ask(permit, "GET", _path_of(_USERS_PATH, user_id)))

    async def try_credentials(self) -> None:
        """Check the credentials with a call that needs no flow or user. Ends the pause if Dots accepts them.

        A refusal begins no pause: this process may have other credentials than the running ones.
        Raises DotsCredentialsError if Dots refuses them, another DotsError if it is unclear, DatabaseUnavailableError.
        """
        permit = await self.gate.take_one(is_trial=True)
        try:
            await self._ask_once(permit, "GET", _FLOWS_PATH, query={"limit": "1"})
        except DotsForbiddenError as error:
            raise DotsCredentialsError(status=error.status, error_code=error.error_code) from None
        self._accepted_at = self._now()

    async def _ask(
        self,
        permit: Permit,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> object:
        """Return the JSON of Dots' answer. After a 401 or 403 it checks whether Dots refuses the credentials."""
        try:
            return await self._ask_once(permit, method, path, query=query, body=body, headers=headers)
        except DotsForbiddenError as error:
            if await self._are_credentials_refused():
                raise DotsCredentialsError(status=error.status, error_code=error.error_code) from None
            raise

    async def _ask_once(self, permit: Permit, method: str, path: str, **parts: Any) -> object:
        permit.spend(self.gate)
        answer = await self._connection.exchange(method, path, **parts)
        try:
            content = answers.read_answer(answer, now=self._now())
        except DotsThrottledError as error:
            await self.gate.hold_off(error.retry_after)
            raise
        await self.gate.resume()
        return content

    async def _are_credentials_refused(self) -> bool:
        """Check the credentials unless Dots accepted them moments ago. Pauses the app if Dots refuses them.

        Returns False if the check fails for another reason.
        """
        async with self._trial:  # Calls that Dots refuses at the same time share one trial.
            if self.gate.is_paused() and not self.gate.is_paused(is_trial=True):
                return True
            if self._accepted_at is not None and self._now() - self._accepted_at < _BELIEVE_TRIAL:
                return False
            try:
                await self.try_credentials()
            except DotsCredentialsError:
                await self.gate.pause()
                return True
            except (DotsError, DatabaseUnavailableError):
                return False
            return False


def _standing_headers(access: DotsAccess) -> dict[str, str]:
    headers = {"User-Agent": "dots-gateway"}
    if access.app_id is not None:
        if not _HEADER_VALUE.fullmatch(access.app_id):
            raise SettingsError(f"{access.setting_prefix}APP_ID cannot be sent in a header.")
        headers["Api-App-Id"] = access.app_id
    return headers


def _path_of(collection: str, subject_id: str) -> str:
    """Return the path of one object. Raises DotsNotFoundError for an id that has a meaning of its own in URLs."""
    if subject_id in {"", ".", ".."}:
        raise DotsNotFoundError
    try:
        return f"{collection}/{quote(subject_id, safe='')}"
    except UnicodeEncodeError:
        raise DotsNotFoundError from None


class DotsClients(dict[str, DotsClient]):
    """The client of each Dots app in the settings, by the app's name."""

    def of(self, app: str) -> DotsClient:
        """Return the client of one app. Raises UnknownAppError."""
        if app not in self:
            raise UnknownAppError
        return self[app]
