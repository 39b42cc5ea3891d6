"""The delivery log: messages, their states and their attempts. Its size is bounded."""

from collections import deque
from itertools import takewhile

from simulator.delivery.message import Attempt, Message, MessageState

_KEPT = 20_000


class DeliveryLog:
    """Messages with their states, and attempts in the order they ended. The oldest entries are deleted."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self.states: dict[str, MessageState] = {}
        self.attempts: deque[Attempt] = deque(maxlen=_KEPT)

    def clear(self) -> None:
        """Delete everything."""
        self.messages.clear()
        self.states.clear()
        self.attempts.clear()

    def add(self, message: Message, state: MessageState) -> None:
        """Add a new message."""
        if len(self.messages) >= _KEPT:
            oldest = next(iter(self.messages))
            del self.messages[oldest], self.states[oldest]
        self.messages[message.id] = message
        self.states[message.id] = state

    def since(self, message_id: str | None) -> list[Message]:
        """The messages after this one, oldest first; all messages if the log has no such id."""
        newest_first = reversed(self.messages.values())
        return list(takewhile(lambda message: message.id != message_id, newest_first))[::-1]

    def mark(self, message: Message, state: MessageState) -> None:
        """Change the state of a message if the log still has it."""
        if message.id in self.states:
            self.states[message.id] = state

    def add_attempt(self, attempt: Attempt) -> None:
        """Add an attempt."""
        self.attempts.append(attempt)
