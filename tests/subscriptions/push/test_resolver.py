import asyncio
import socket
import threading

import pytest

from app.subscriptions.push import resolver
from app.subscriptions.push.resolver import SystemResolver


async def test_numeric_host_is_resolved() -> None:
    """The system's resolver needs no name server for it."""
    assert await SystemResolver()("127.0.0.1") == ("127.0.0.1",)


def test_system_resolver_accepts_decimal_addresses() -> None:
    """It resolves this to 127.0.0.1, which is why URLs with such hosts are refused earlier."""
    assert resolver.look_up("2130706433") == ("127.0.0.1",)


async def test_failure_is_an_os_error() -> None:
    """The caller gets the resolver's error."""

    def fail(_host: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    with pytest.raises(OSError, match="no answer"):
        await SystemResolver(fail)("hooks.test")


async def test_hanging_lookups_do_not_delay_others() -> None:
    """While fifty lookups hang, another name is resolved, and no thread blocks the end of the process."""
    release = threading.Event()

    def hang_or_answer(host: str) -> tuple[str, ...]:
        if host.startswith("slow"):
            release.wait(20)
        return ("10.0.0.1",)

    resolve = SystemResolver(hang_or_answer)
    slow = [asyncio.ensure_future(resolve(f"slow{number}")) for number in range(50)]
    async with asyncio.timeout(10):
        quick = await resolve("quick")
    was_waiting = not any(lookup.done() for lookup in slow)
    blocking_threads = [thread for thread in threading.enumerate() if "look-up" in thread.name and not thread.daemon]
    release.set()
    await asyncio.gather(*slow)

    assert quick == ("10.0.0.1",)
    assert was_waiting
    assert blocking_threads == []


async def test_concurrent_callers_share_one_lookup() -> None:
    """Many callers of one name share a thread. Cancelling one does not affect the others."""
    release = threading.Event()
    asked: list[str] = []

    def hang(host: str) -> tuple[str, ...]:
        asked.append(host)
        release.wait(20)
        return ("10.0.0.1",)

    resolve = SystemResolver(hang)
    waiting = [asyncio.ensure_future(resolve("hooks.test")) for _ in range(100)]
    await asyncio.wait(waiting, timeout=0.01)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    release.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [("10.0.0.1",)] * 99
    assert asked == ["hooks.test"]


async def test_lookups_are_bounded() -> None:
    """With MAX_LOOKUPS hanging lookups, another name fails immediately. It works once they have ended."""
    release = threading.Event()

    def hang(_host: str) -> tuple[str, ...]:
        release.wait(20)
        return ("10.0.0.1",)

    resolve = SystemResolver(hang)
    slow = [asyncio.ensure_future(resolve(f"slow{number}")) for number in range(resolver.MAX_LOOKUPS)]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="too many lookups"):
        await resolve("next")
    release.set()
    await asyncio.gather(*slow)

    assert await resolve("next") == ("10.0.0.1",)


async def test_results_are_not_cached() -> None:
    """A later call resolves the name again."""
    answers = iter([("10.0.0.1",), ("10.0.0.2",)])
    resolve = SystemResolver(lambda _host: next(answers))

    assert [await resolve("hooks.test"), await resolve("hooks.test")] == [("10.0.0.1",), ("10.0.0.2",)]
