"""Reads times in requests."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

# RFC 3339 §5.6. Pydantic would also accept a number, as seconds or milliseconds depending on its size.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _in_utc(moment: datetime) -> datetime:
    """Convert the time to UTC. Raises ValueError if the result is outside the years 1 to 9999."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999") from None


def _is_time(value: object) -> object:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("must be a time like 2026-11-23T12:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_is_time), AfterValidator(_in_utc)]
