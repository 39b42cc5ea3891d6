"""What a campaign did and saw, in order, one line of JSON each. The checker reads it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE_NAME = "history.jsonl"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One attempt to deliver a webhook. `status` is None if no answer came. `is_genuine`: it had to verify."""

    message_id: str
    body: str
    status: int | None
    is_genuine: bool = True


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One POST of a flow, with `flow_id` and Dots' `error_code` as answered."""

    key: str
    status: int | None
    flow_id: str | None
    has_user: bool
    error_code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of the feed as a consumer got it: one digest per event, in order."""

    after: str | None
    next_cursor: str
    digests: list[str]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A flow as a caller saw it."""

    flow_id: str
    status: str
    completed: list[str]


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A background check was given this verdict at Dots: `cleared` or `flagged`."""

    user_id: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Poisoned:
    """A subject that Dots does not know: work about it cannot succeed."""

    subject_id: str


@dataclass(frozen=True, kw_only=True)
class Broke:
    """A log line that reports an unexpected error."""

    line: str


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """One copy of an event as it came to a subscriber or the broker, noted before the answer.

    `body` is a digest of its bytes, `digest` of its content, as in a `Page`. `is_marked`: signature or address were
    right. `status` is None if there was no answer, so that the sender could not know that it arrived.
    """

    recipient: str
    event_id: str
    body: str
    digest: str
    is_marked: bool
    status: int | None


Record = Sent | Asked | Page | Seen | Decided | Poisoned | Broke | Arrived
_KINDS: dict[str, type[Record]] = {
    kind.__name__: kind for kind in (Sent, Asked, Page, Seen, Decided, Poisoned, Broke, Arrived)
}


class History:
    """The history file of one campaign. Every line is flushed immediately."""

    def __init__(self, directory: Path) -> None:
        """Begin a new file."""
        self._file = (directory / FILE_NAME).open("w", buffering=1)

    def note(self, record: Record) -> None:
        """Add a line."""
        self._file.write(json.dumps({"kind": type(record).__name__, **asdict(record)}) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A whole history, by kind, each kind in order."""

    sent: list[Sent] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    poisoned: list[Poisoned] = field(default_factory=list)
    broke: list[Broke] = field(default_factory=list)
    arrived: list[Arrived] = field(default_factory=list)


def read(directory: Path) -> Timeline:
    """The history in a directory."""
    timeline = Timeline()
    place: dict[type[Record], list[Any]] = {
        Sent: timeline.sent,
        Asked: timeline.asked,
        Page: timeline.pages,
        Seen: timeline.seen,
        Decided: timeline.decided,
        Poisoned: timeline.poisoned,
        Broke: timeline.broke,
        Arrived: timeline.arrived,
    }
    for line in (directory / FILE_NAME).read_text().splitlines():
        fields = json.loads(line)
        kind = _KINDS[fields.pop("kind")]
        place[kind].append(kind(**fields))
    return timeline


def digests(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """A digest of each event, which changes with any part of it."""
    return [hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()[:24] for event in events]
