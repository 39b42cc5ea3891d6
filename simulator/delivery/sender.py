"""The Svix-like sender: takes bodies, delivers them to every endpoint, retries on Svix' schedule."""

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

_AT_ONCE = 64
"""Attempts in flight at the same time; the others wait their turn without their time-out running."""


class Sender:
    """Delivers messages in tasks of its own. Needs a running event loop from the first message on.

    Each endpoint gets its own message id for the same fact, as a Dots app and its organization would.
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
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def set_endpoints(self, endpoints: Sequence[Endpoint]) -> None:
        """Send to these from now on; messages under way to an endpoint that is gone are given up."""
        self.endpoints = tuple(endpoints)

    def dispatch(self, body: bytes, headers: Mapping[str, str] | None = None) -> list[Message]:
        """Start the delivery of a body to every endpoint that is not disabled; the messages made."""
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
        """Let go of what a pause held; how many messages that were."""
        held, self._held = self._held, []
        for message in held:
            self.log.mark(message, "waiting")
            self._start(message)
        return len(held)

    def resend(self, message: Message) -> None:
        """Deliver a message again under the same id, as somebody can by hand in Svix' dashboard."""
        self.log.mark(message, "waiting")
        self._start(message)

    @property
    def under_way(self) -> int:
        """How many deliveries are not finished: waiting, in flight or between two attempts."""
        return len(self._tasks) + len(self._held)

    async def settle(self) -> None:
        """Wait until nothing is under way but what a pause holds."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """End all deliveries and forget them."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._held.clear()
        self.log.clear()

    def _accept(self, message: Message) -> None:
        knobs, dice = self._panel.current.webhooks, self._panel.delivery_dice
        is_dropped, is_doubled = dice.random() < knobs.drop, dice.random() < knobs.duplicate
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
        # Each delivery gets dice of its own, so that its waits do not depend on how tasks interleave.
        dice = Random(self._panel.delivery_dice.getrandbits(64))  # noqa: S311 - jitter, not a secret
        task = asyncio.get_running_loop().create_task(self._deliver(message, dice))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, message: Message, dice: Random) -> None:
        """Try until it succeeds, the schedule ends, or the endpoint is gone or disabled."""
        knobs = self._panel.current.webhooks
        wait: float | None = knobs.delay_seconds + dice.uniform(0, knobs.shuffle_seconds)
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
                random=dice,
                retry_after_seconds=attempt.retry_after_seconds,
                speed=self._panel.current.webhooks.speed,
            )
        self.log.mark(message, "given_up")

    async def _attempt(self, message: Message, endpoint: Endpoint, number: int) -> Attempt:
        async with self._turns:
            knobs = self._panel.current.webhooks
            attempt = await post(self._client, message, endpoint, attempt=number, knobs=knobs, now=self._clock())
        self.log.add_attempt(attempt)
        self._judge_endpoint(endpoint.id, attempt)
        return attempt

    def _endpoint_of(self, message: Message) -> Endpoint | None:
        return next((endpoint for endpoint in self.endpoints if endpoint.id == message.endpoint_id), None)

    def _judge_endpoint(self, endpoint_id: str, attempt: Attempt) -> None:
        """Disable an endpoint that answers 410 or has failed for too long; a success clears its record."""
        limit = self._panel.current.webhooks.disable_after_seconds

        def judged(endpoint: Endpoint) -> Endpoint:
            if endpoint.id != endpoint_id:
                return endpoint
            if attempt.is_success:
                return replace(endpoint, failing_since=None)
            since = endpoint.failing_since or attempt.at
            is_too_long = limit is not None and (attempt.at - since).total_seconds() > limit
            return replace(endpoint, failing_since=since, is_disabled=is_too_long or attempt.status == HTTPStatus.GONE)

        self.endpoints = tuple(judged(endpoint) for endpoint in self.endpoints)
