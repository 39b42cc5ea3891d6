"""Places in listings that are ordered by time: opaque to callers, and never anything but ours."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from app.errors import InvalidCursorError

# RFC 3339 §5.6; a number would be taken for seconds or milliseconds, whichever it looks like.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def in_utc(moment: datetime) -> datetime:
    """The moment in UTC. Raises ValueError for one at the calendar's end, which its zone puts beyond."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999") from None


def _is_time(value: object) -> object:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("must be a time like 2026-11-23T12:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_is_time), AfterValidator(in_utc)]


def write(moment: datetime, *names: str) -> str:
    """The place behind what happened at `moment` and is told apart by `names`."""
    return base64.urlsafe_b64encode(json.dumps([moment.isoformat(), *names]).encode()).decode()


def read(text: str, *, names: int) -> tuple[datetime, list[str]]:
    """What `write` was given, with so many names. Raises InvalidCursorError."""
    try:
        moment, *found = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
        place = datetime.fromisoformat(moment)
        is_ours = place.tzinfo is not None and len(found) == names and all(isinstance(name, str) for name in found)
        if not is_ours or any("\x00" in name or not name.isprintable() for name in found):
            raise InvalidCursorError
        return in_utc(place), found
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise InvalidCursorError from None
