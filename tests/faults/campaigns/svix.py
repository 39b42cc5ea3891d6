"""Sends webhooks from Dots to the gateway as Svix does: some are dropped, doubled or out of order."""

import asyncio
import base64
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random

from tests.dots import signed_webhooks
from tests.faults.campaigns.history import History, Sent
from tests.faults.campaigns.receivers import Receivers
from tests.stack import dots

AT_ONCE = 48
JUST_ACKNOWLEDGED, LULL_SECONDS = 20, 3.0


@dataclass(frozen=True, kw_only=True)
class Fate:
    """The probability of each fate of a message. `forged` adds one with a wrong signature.

    Messages overtake each other within a `window` of this many.
    """

    dropped: float = 0.05
    doubled: float = 0.30
    twice_at_once: float = 0.02
    forged: float = 0.01
    window: int = 500


@dataclass(frozen=True, kw_only=True)
class Message:
    """A webhook in flight."""

    id: str
    body: str
    is_genuine: bool = True
    is_twice_at_once: bool = False


def key_of(secret: str) -> bytes:
    """The key inside `whsec_…`."""
    return base64.b64decode(secret.removeprefix("whsec_"))


def system_now() -> datetime:
    """The machine's clock, aware."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Svix:
    """Sends messages in any order within a window, and repeats each until it is acknowledged.

    Signs with all `keys`, as during a rotation. They may be replaced at any time. In a hurry it
    does not wait for a window to fill.
    """

    receivers: Receivers
    history: History
    dice: Random
    fate: Fate = field(default_factory=Fate)
    keys: list[bytes] = field(default_factory=lambda: [key_of(dots.WEBHOOK_SECRET)])
    now: Callable[[], datetime] = system_now
    dropped: int = 0
    acknowledged: int = 0
    sent: int = 0
    is_in_a_hurry: bool = False
    _line: list[Message] = field(default_factory=list)
    _under_way: int = 0
    _is_complete: bool = False
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def offer(self, messages: Iterable[tuple[str, str]]) -> None:
        """Queue messages, given as ids and bodies. Waits while the queue is full."""
        for message_id, body in messages:
            message = Message(id=message_id, body=body, is_twice_at_once=self.dice.random() < self.fate.twice_at_once)
            if self.dice.random() < self.fate.dropped:
                self.dropped += 1
                continue
            self._line.append(message)
            if self.dice.random() < self.fate.doubled:
                self._line.append(replace(message, is_twice_at_once=False))
            if self.dice.random() < self.fate.forged:
                self._line.append(Message(id=f"{message_id}F", body=body, is_genuine=False))
        async with self._news:
            self._news.notify_all()
            await self._news.wait_for(lambda: len(self._line) < 2 * self.fate.window)

    async def hurry(self, *, is_in_a_hurry: bool) -> None:
        """Send what is queued immediately, or wait for windows to fill again."""
        async with self._news:
            self.is_in_a_hurry = is_in_a_hurry
            self._news.notify_all()

    async def complete(self) -> None:
        """Say that nothing more will be offered."""
        async with self._news:
            self._is_complete = True
            self._news.notify_all()

    async def run(self) -> None:
        """Send until every message is acknowledged, or was rightly refused."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(self._send_on())

    async def reached(self, count: int) -> bool:
        """Wait until `count` messages were acknowledged. Return False if the storm or the hurry ends before that."""
        async with self._news:
            await self._news.wait_for(lambda: self.acknowledged >= count or self._is_over or self._is_hurried_through)
        return self.acknowledged >= count

    async def flow(self) -> None:
        """Wait until webhooks are being acknowledged, or for a lull. A fault could lose the latest ones."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LULL_SECONDS):
                await self.reached(self.acknowledged + JUST_ACKNOWLEDGED)

    async def deliver(self, message: Message, url: str | None = None, *, is_expected: bool | None = None) -> int | None:
        """Send one message once, to one api or any. Returns the status of the answer, or None if none came.

        `is_expected`: whether it must verify, if that does not depend on its signature alone.
        """
        url = url or await self.receivers.choose(self.dice)
        body = message.body.encode()
        stamp = signed_webhooks.seconds_of(self.now())
        keys = self.keys if message.is_genuine else [b"a key that no api has"]
        signatures = [signed_webhooks.signature_of(key, message.id.encode(), stamp, body) for key in keys]
        headers = signed_webhooks.headers_of(message.id.encode(), stamp, b" ".join(signatures))
        status = None
        try:
            status = await self.receivers.post(url, headers, body)
        except asyncio.CancelledError:
            # The connection was closed. If this task itself was cancelled, the storm is over.
            if (task := asyncio.current_task()) and task.cancelling():
                raise
        self.sent += 1
        self.history.note(
            Sent(
                message_id=message.id,
                body=message.body,
                status=status,
                is_genuine=message.is_genuine if is_expected is None else is_expected,
            )
        )
        return status

    @property
    def _is_over(self) -> bool:
        return self._is_complete and not self._line and not self._under_way

    @property
    def _is_hurried_through(self) -> bool:
        """Whether all is sent, so that no more comes until the hurry ends."""
        return self.is_in_a_hurry and not self._line and not self._under_way

    @property
    def _may_take(self) -> bool:
        is_waiting = not self._is_complete and not self.is_in_a_hurry
        return bool(self._line) and (not is_waiting or len(self._line) >= self.fate.window)

    async def _send_on(self) -> None:
        while message := await self._take():
            if message.is_twice_at_once:
                urls = self.receivers.all_urls
                first, second = self.dice.choice(urls), self.dice.choice(urls)
                statuses = list(await asyncio.gather(self.deliver(message, first), self.deliver(message, second)))
            else:
                statuses = [await self.deliver(message)]
            await self._note(message, statuses)

    async def _take(self) -> Message | None:
        async with self._news:
            await self._news.wait_for(lambda: self._may_take or self._is_over)
            if not self._line:
                return None
            self._under_way += 1
            return self._line.pop(self.dice.randrange(min(self.fate.window, len(self._line))))

    async def _note(self, message: Message, statuses: list[int | None]) -> None:
        async with self._news:
            self._under_way -= 1
            accepted = sum(status is not None and 200 <= status < 300 for status in statuses)
            self.acknowledged += accepted
            is_refused = all(status is not None and 400 <= status < 500 for status in statuses)
            if not accepted and not is_refused:
                self._line.append(message)
            self._news.notify_all()
