"""A message and an attempt to deliver it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Literal

MessageState = Literal["held", "waiting", "delivered", "given_up", "dropped"]

_ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_CHARACTERS = 27


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message to one endpoint. All its attempts and resends have the same id."""

    id: str
    endpoint_id: str
    url: str
    body: bytes
    created_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt to deliver a message. Without an answer `status` is None and `error` names the cause."""

    message_id: str
    endpoint: str
    attempt: int
    status: int | None
    error: str | None
    at: datetime
    retry_after_seconds: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver accepted the message: any 2xx. A redirect is a failure."""
        return self.status is not None and 200 <= self.status <= 299  # noqa: PLR2004 - the range of HTTP success


def new_message_id(random: Random) -> str:
    """An id in Svix' format: `msg_` and 27 letters and digits."""
    return "msg_" + "".join(random.choices(_ID_ALPHABET, k=_ID_CHARACTERS))
