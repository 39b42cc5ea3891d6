"""The sender: delivers each body to every endpoint and retries on Svix' schedule."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from random import Random

import httpx

from simulator.delivery import schedule
from simulator.delivery.endpoint import Endpoint
from simulator.delivery.log import DeliveryLog
from simulator.delivery.message import Attempt, Message, new_message_id
from simulator.delivery.post import post
from simulator.knob_panel import KnobPanel

Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], datetime]

_CONCURRENT_ATTEMPTS = 64
"""The most attempts in flight at once. An attempt's time-out starts when it is sent."""


class Sender:
    """Delivers messages in its own tasks. Needs a running event loop.

    Each endpoint gets a different message id for the same body, like the endpoints of a Dots app and its organization.
    """

    def __init__(
        self, *, panel: KnobPanel, client: httpx.AsyncClient, clock: Clock, sleep: Sleep, random: Random
    ) -> None:
        self.endpoints: tuple[Endpoint, ...] = ()
        self.log = DeliveryLog()
        self._panel = panel
        self._client = client
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._held: list[Message] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_CONCURRENT_ATTEMPTS)

    def set_endpoints(self, endpoints: Sequence[Endpoint]) -> None:
        """Replace the endpoints. Unfinished messages to a removed endpoint are given up."""
        self.endpoints = tuple(endpoints)

    def dispatch(self, body: bytes, headers: Mapping[str, str] | None = None) -> list[Message]:
        """Start to deliver a body to every enabled endpoint. Returns the new messages."""
        messages = [
            Message(
                id=new_message_id(self._random),
                endpoint_id=endpoint.id,
                url=endpoint.url,
                body=body,
                created_at=self._clock(),
                headers=headers or {},
            )
            for endpoint in self.endpoints
            if not endpoint.is_disabled
        ]
        for message in messages:
            self._accept(message)
        return messages

    def flush(self) -> int:
        """Send the messages that a pause held. Returns their number."""
        held, self._held = self._held, []
        for message in held:
            self.log.mark(message, "waiting")
            self._start(message)
        return len(held)

    def resend(self, message: Message) -> None:
        """Deliver a message again under the same id, like the resend button of Svix' dashboard."""
        self.log.mark(message, "waiting")
        self._start(message)

    @property
    def under_way(self) -> int:
        """The number of unfinished deliveries: held, waiting, in flight or between two attempts."""
        return len(self._tasks) + len(self._held)

    async def settle(self) -> None:
        """Wait until all deliveries are finished or held by a pause."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Cancel all deliveries and clear the log."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._held.clear()
        self.log.clear()

    def _accept(self, message: Message) -> None:
        knobs, random = self._panel.current.webhooks, self._panel.delivery_random
        is_dropped, is_doubled = random.random() < knobs.drop, random.random() < knobs.duplicate
        if is_dropped:
            self.log.add(message, "dropped")
            return
        copies = 2 if is_doubled else 1
        self.log.add(message, "held" if knobs.paused else "waiting")
        for _ in range(copies):
            if knobs.paused:
                self._held.append(message)
            else:
                self._start(message)

    def _start(self, message: Message) -> None:
        # Each delivery has its own random source, so that its waits do not depend on the order of the tasks.
        random = Random(self._panel.delivery_random.getrandbits(64))  # noqa: S311 - jitter, not a secret
        task = asyncio.get_running_loop().create_task(self._deliver(message, random))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, message: Message, random: Random) -> None:
        """Try until an attempt succeeds, the schedule ends, or the endpoint is removed or disabled."""
        knobs = self._panel.current.webhooks
        wait: float | None = knobs.delay_seconds + random.uniform(0, knobs.shuffle_seconds)
        number = 0
        while wait is not None:
            if wait > 0:
                await self._sleep(wait)
            endpoint = self._endpoint_of(message)
            if endpoint is None or endpoint.is_disabled:
                break
            number += 1
            attempt = await self._attempt(message, endpoint, number)
            if attempt.is_success:
                self.log.mark(message, "delivered")
                return
            wait = schedule.wait_seconds(
                number + 1,
                random=random,
                retry_after_seconds=attempt.retry_after_seconds,
                speed=self._panel.current.webhooks.speed,
            )
        self.log.mark(message, "given_up")

    async def _attempt(self, message: Message, endpoint: Endpoint, number: int) -> Attempt:
        async with self._slots:
            knobs = self._panel.current.webhooks
            attempt = await post(self._client, message, endpoint, attempt=number, knobs=knobs, now=self._clock())
        self.log.add_attempt(attempt)
        self._update_endpoint(endpoint.id, attempt)
        return attempt

    def _endpoint_of(self, message: Message) -> Endpoint | None:
        return next((endpoint for endpoint in self.endpoints if endpoint.id == message.endpoint_id), None)

    def _update_endpoint(self, endpoint_id: str, attempt: Attempt) -> None:
        """Disable an endpoint that answers 410 or has failed for too long. A success resets `failing_since`."""
        limit = self._panel.current.webhooks.disable_after_seconds

        def updated(endpoint: Endpoint) -> Endpoint:
            if endpoint.id != endpoint_id:
                return endpoint
            if attempt.is_success:
                return replace(endpoint, failing_since=None)
            since = endpoint.failing_since or attempt.at
            is_too_long = limit is not None and (attempt.at - since).total_seconds() > limit
            return replace(endpoint, failing_since=since, is_disabled=is_too_long or attempt.status == HTTPStatus.GONE)

        self.endpoints = tuple(updated(endpoint) for endpoint in self.endpoints)
