import asyncio
import socket
import threading

import pytest

from app.subscriptions.push import resolver
from app.subscriptions.push.resolver import SystemResolver


async def test_numeric_host_is_resolved_by_the_machine() -> None:
    """The real resolver, without a name server."""
    assert await SystemResolver()("127.0.0.1") == ("127.0.0.1",)


def test_machine_reads_decimal_addresses() -> None:
    """Why such spellings are refused before: the machine's resolver would take this for 127.0.0.1."""
    assert resolver.look_up("2130706433") == ("127.0.0.1",)


async def test_failure_is_an_os_error() -> None:
    """Whoever asked is told, whatever the reason."""

    def fail(_host: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    with pytest.raises(OSError, match="no answer"):
        await SystemResolver(fail)("hooks.test")


async def test_slow_name_holds_up_no_other() -> None:
    """However many names hang, the next one is looked up at once, and the process can end."""
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
    holding_up_the_exit = [thread for thread in threading.enumerate() if "look-up" in thread.name and not thread.daemon]
    release.set()
    await asyncio.gather(*slow)

    assert quick == ("10.0.0.1",)
    assert was_waiting
    assert holding_up_the_exit == []


async def test_name_is_looked_up_once_for_all_who_ask_meanwhile() -> None:
    """A thousand deliveries to a hanging name are one thread; one that gives up leaves the others waiting."""
    release = threading.Event()
    asked: list[str] = []

    def hang(host: str) -> tuple[str, ...]:
        asked.append(host)
        release.wait(20)
        return ("10.0.0.1",)

    resolve = SystemResolver(hang)
    waiting = [asyncio.ensure_future(resolve("hooks.test")) for _ in range(1000)]
    await asyncio.wait(waiting, timeout=0.01)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    release.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [("10.0.0.1",)] * 999
    assert asked == ["hooks.test"]


async def test_lookups_are_bounded_and_free_their_room() -> None:
    """Names that hang start no more threads than MAX_LOOKUPS; the next name fails at once, and works again later."""
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


async def test_name_is_looked_up_anew_afterwards() -> None:
    """Nothing is kept: an address may have moved."""
    answers = iter([("10.0.0.1",), ("10.0.0.2",)])
    resolve = SystemResolver(lambda _host: next(answers))

    assert [await resolve("hooks.test"), await resolve("hooks.test")] == [("10.0.0.1",), ("10.0.0.2",)]
