"""What became of each message, newest last, bounded."""

from collections import deque
from itertools import takewhile

from simulator.delivery.message import Attempt, Message, MessageState

_KEPT = 20_000


class DeliveryLog:
    """Messages with their state, and every attempt in the order it ended; the oldest are forgotten."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self.states: dict[str, MessageState] = {}
        self.attempts: deque[Attempt] = deque(maxlen=_KEPT)

    def clear(self) -> None:
        """Forget everything."""
        self.messages.clear()
        self.states.clear()
        self.attempts.clear()

    def add(self, message: Message, state: MessageState) -> None:
        """Remember a new message."""
        if len(self.messages) >= _KEPT:
            oldest = next(iter(self.messages))
            del self.messages[oldest], self.states[oldest]
        self.messages[message.id] = message
        self.states[message.id] = state

    def since(self, message_id: str | None) -> list[Message]:
        """The messages that came after this one, oldest first; all of them when there is none of that id any more."""
        newest_first = reversed(self.messages.values())
        return list(takewhile(lambda message: message.id != message_id, newest_first))[::-1]

    def mark(self, message: Message, state: MessageState) -> None:
        """Change the state of a message, unless it was forgotten meanwhile."""
        if message.id in self.states:
            self.states[message.id] = state

    def add_attempt(self, attempt: Attempt) -> None:
        """Remember an attempt."""
        self.attempts.append(attempt)
