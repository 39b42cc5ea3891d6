"""Points at which a process exits, named from outside: before or after the nth call of a function."""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from tests.faults.campaigns import replacing

VARIABLE = "CRASH_AT"
EXIT_STATUS = 9


@dataclass(frozen=True, kw_only=True)
class CrashPoint:
    """`function` is `module:name` or `module:Class.name`, where it is looked up when called."""

    when: Literal["before", "after"]
    function: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.when}/{self.function}/{self.nth}"


def parse(text: str) -> CrashPoint:
    """Read what `str(point)` wrote."""
    when, function, nth = text.split("/")
    if when not in ("before", "after"):
        raise ValueError(text)
    return CrashPoint(when="before" if when == "before" else "after", function=function, nth=int(nth))


def plant(point: CrashPoint) -> None:
    """Wrap the function, so that the process ends at the point."""
    replacing.replace(point.function, partial(deadly, point=point))


def deadly(function: Callable[..., Any], point: CrashPoint) -> Callable[..., Any]:
    """The function, which ends the process at the point. Raises TypeError unless it is a coroutine function."""
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{point.function} is not a coroutine function")
    calls = 0

    @functools.wraps(function)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        is_singleton = calls == point.nth
        if is_singleton and point.when == "before":
            os._exit(EXIT_STATUS)
        result = await function(*arguments, **named)
        if is_singleton:
            os._exit(EXIT_STATUS)
        return result

    return wrapped
