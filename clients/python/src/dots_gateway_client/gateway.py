"""The client: create flows, get flows, read the feed."""

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from dots_gateway_client import events
from dots_gateway_client.connection import Connection, Jitter, Sleep
from dots_gateway_client.cursors import CursorStore
from dots_gateway_client.errors import CreationUnsettledError, MalformedAnswerError, UnavailableError
from dots_gateway_client.events import Event
from dots_gateway_client.flows import CreatedFlow, Flow

# The gateway delays an answer by at most 30 s, and many proxies close connections that are idle for longer.
WAIT_SECONDS = 25
ANSWER_SECONDS = 15
ONE_MINUTE = timedelta(minutes=1)


class Gateway:
    """`async with Gateway(url, key) as gateway: …`. The tasks of one event loop can share it."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
        jitter: Jitter = random.random,
    ) -> None:
        """Use this URL and API key. Raises ValueError if either is malformed."""
        if httpx.URL(url).scheme not in ("http", "https"):
            raise ValueError("The gateway's URL must begin with http:// or https://.")
        # A key from a file often ends in a line break, which a header cannot contain.
        key = key.strip()
        if not (key and key.isascii() and key.isprintable()):
            raise ValueError("The API key is empty or malformed. A key begins with dgw_.")
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}", "User-Agent": "dots-gateway-client"},
            timeout=ANSWER_SECONDS,
            # With httpx' default limits, only 20 connections are kept; calls beyond that open a new connection each.
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
            transport=transport,
        )
        self._connection = Connection(self._client, sleep=sleep, jitter=jitter)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def events(
        self,
        cursors: CursorStore,
        *,
        types: Sequence[str] = (),
        start: Literal["earliest", "latest"] = "earliest",
        page_size: int = 100,
    ) -> AsyncGenerator[Event, None]:
        """Yield every event after the stored cursor in the feed's order, then wait for new events without end.

        `types` filters (`dots.flow.completed`, `dots.flow.*`). `start` is where to begin without a stored cursor.
        The cursor is saved when the consumer asks for the event after a page, so no event is skipped. After a crash
        up to `page_size` events (1 to 500) come again with the same ids.

        Retries without limit while the gateway is unavailable, and logs a warning each time. Raises KeyRefusedError,
        ScopeMissingError, CursorOfOtherEpochError, CursorExpiredError, other RequestRefusedErrors, and
        MalformedEventError. The stored cursor is then unchanged.
        """
        cursor = await cursors.load()
        while True:
            page = await self._read_page(cursor or start, types, page_size)
            for envelope in page["events"]:
                yield events.parse(envelope)
            if page["next_cursor"] != cursor:
                cursor = page["next_cursor"]
                await cursors.save(cursor)

    async def create_flow(
        self,
        steps: Sequence[str | Mapping[str, Any]],
        *,
        reference: str | None = None,
        user_id: str | None = None,
        metadata: Mapping[str, Any] | str | None = None,
        require_auth: bool = False,
        hide_go_to_dashboard_on_complete: bool = False,
        app: str | None = None,
        user_ip: str | None = None,
        idempotency_key: str | None = None,
        give_up_after: timedelta = ONE_MINUTE,
    ) -> CreatedFlow:
        """Create one flow, with retries.

        Pass your own `idempotency_key` (for example, stored with your payee) to be able to repeat the call after a
        crash of your program. The default is a random key. `user_ip`, the payee's address, is sent to Dots and not
        stored. Raises CreationUnsettledError, which has the key, if the pauses would take longer than
        `give_up_after`. Raises RequestRefusedErrors.
        """
        key = idempotency_key or uuid4().hex
        body = {
            "steps": [step if isinstance(step, str) else dict(step) for step in steps],
            "reference": reference,
            "user_id": user_id,
            "metadata": metadata,
            "require_auth": require_auth,
            "hide_go_to_dashboard_on_complete": hide_go_to_dashboard_on_complete,
            **({} if app is None else {"app": app}),
            **({} if user_ip is None else {"user_ip": user_ip}),
        }
        request = self._client.build_request("POST", "/v1/flows", json=body, headers={"Idempotency-Key": key})
        try:
            return CreatedFlow.parse(
                await self._connection.ask(request, give_up_after_seconds=give_up_after.total_seconds())
            )
        except UnavailableError as error:
            raise CreationUnsettledError(key, error) from error

    async def get_flow(self, flow_id: str, *, give_up_after: timedelta = ONE_MINUTE) -> Flow:
        """The current state of a flow. Raises FlowNotFoundError, UnavailableError, other RequestRefusedErrors."""
        request = self._client.build_request("GET", f"/v1/flows/{quote(flow_id, safe='')}")
        return Flow.parse(await self._connection.ask(request, give_up_after_seconds=give_up_after.total_seconds()))

    async def _read_page(self, cursor: str, types: Sequence[str], page_size: int) -> Any:
        """The events after `cursor` and the next cursor. Waits for an event if there is none."""
        # With "latest" do not wait: after a broken connection a second "latest" would skip the events in between.
        query: dict[str, str | int] = {"limit": page_size, "wait": 0 if cursor == "latest" else WAIT_SECONDS}
        if cursor != "earliest":
            query["after"] = cursor
        if types:
            query["types"] = types if isinstance(types, str) else ",".join(types)
        timeout = httpx.Timeout(ANSWER_SECONDS, read=WAIT_SECONDS + ANSWER_SECONDS)
        request = self._client.build_request("GET", "/v1/events", params=query, timeout=timeout)
        page = await self._connection.ask(request)
        match page:
            case {"events": list(), "next_cursor": str()}:
                return page
        raise MalformedAnswerError("The answer is not a page of the feed. Is this the URL of dots-gateway?")
