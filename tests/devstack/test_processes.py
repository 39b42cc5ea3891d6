import asyncio
import io
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from devstack.child import Command, filed, prefixed
from devstack.errors import ChildEndedError, ChildNotReadyError
from devstack.ports import free_port
from devstack.processes import supervising
from tests.devstack.liveness import all_end, is_alive

WAIT_FOR_EVER = "import signal; print('begun'); signal.pause()"
IGNORE_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('begun'); signal.pause()"
DEADLINE = timedelta(seconds=10)
SHORTLY = timedelta(milliseconds=50)


class Listener:
    """Records the lines of children, and waits for a line."""

    def __init__(self) -> None:
        """Begin without lines."""
        self.lines: list[tuple[str, str]] = []
        self._something_new = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        """Record one line of a child."""
        self.lines.append((name, line))
        self._something_new.set()

    async def hear(self, name: str, line: str) -> None:
        """Return when the child has written this line."""
        async with asyncio.timeout(DEADLINE.total_seconds()):
            while (name, line) not in self.lines:
                self._something_new.clear()
                await self._something_new.wait()


def python(name: str, program: str, **environment: str) -> Command:
    """A command that runs a small Python program."""
    return Command(name=name, arguments=(sys.executable, "-c", program), environment=environment)


def web_server(name: str, port: int) -> Command:
    """A command that answers HTTP after a while."""
    return Command(
        name=name,
        arguments=(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"),
        ready_url=f"http://127.0.0.1:{port}/",
        ready_within=DEADLINE,
    )


async def test_child_is_ready_when_its_url_answers(tmp_path: Path) -> None:
    """`start` returns after the first 2xx answer, so that the next child can use this one."""
    port = free_port()

    async with supervising(filed(tmp_path)) as supervisor:
        await supervisor.start(web_server("web", port))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()

    assert '"GET / HTTP/1.1" 200' in (tmp_path / "web.log").read_text()


async def test_children_end_in_reverse_order() -> None:
    """The last child may need the others, so it ends first. No child is left."""
    listener = Listener()
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('ended'), sys.exit()))\n"
        "print('begun')\n"
        "signal.pause()"
    )

    async with supervising(listener) as supervisor:
        pids = []
        for name in ("first", "second", "third"):
            pids.append(await supervisor.start(python(name, program)))
            await listener.hear(name, "begun")

    assert [name for name, line in listener.lines if line == "ended"] == ["third", "second", "first"]
    assert not any(is_alive(pid) for pid in pids)


async def test_child_that_will_not_end_is_killed() -> None:
    """A child that ignores SIGTERM is killed after `stop_within`."""
    listener = Listener()

    async with supervising(listener, stop_within=SHORTLY) as supervisor:
        pid = await supervisor.start(python("stubborn", IGNORE_SIGTERM))
        await listener.hear("stubborn", "begun")

    assert not is_alive(pid)


async def test_children_end_when_the_block_fails() -> None:
    """An error in the block propagates after all children have ended."""
    pids = []

    async def start_and_fail() -> None:
        async with supervising(Listener()) as supervisor:
            pids.append(await supervisor.start(python("child", WAIT_FOR_EVER)))
            raise ValueError("as planned")

    with pytest.raises(ValueError, match="as planned"):
        await start_and_fail()

    assert not is_alive(pids[0])


async def test_child_that_dies_before_it_is_ready_is_reported() -> None:
    """The error contains the exit status and the output. It comes immediately, not at the deadline."""
    command = Command(
        name="broken",
        arguments=(sys.executable, "-c", "import sys; sys.exit('no such setting')"),
        ready_url=f"http://127.0.0.1:{free_port()}/",
        ready_within=timedelta(minutes=5),
    )

    with pytest.raises(ChildEndedError, match=r"(?s)broken ended with status 1.*no such setting"):
        async with supervising(Listener()) as supervisor:
            await supervisor.start(command)


async def test_child_that_never_gets_ready_is_reported() -> None:
    """At the deadline the error names the URL."""
    command = Command(
        name="slow",
        arguments=(sys.executable, "-c", WAIT_FOR_EVER),
        ready_url=f"http://127.0.0.1:{free_port()}/",
        ready_within=SHORTLY,
    )

    with pytest.raises(ChildNotReadyError, match=r"slow did not answer http://127.0.0.1:\d+/ within 0.05 s"):
        async with supervising(Listener()) as supervisor:
            await supervisor.start(command)


async def test_child_that_dies_later_cancels_the_watched_work() -> None:
    """The work is cancelled as soon as a child has ended."""
    listener = Listener()
    is_cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    async def watch() -> None:
        async with supervising(listener) as supervisor:
            pid = await supervisor.start(python("victim", WAIT_FOR_EVER))
            await listener.hear("victim", "begun")
            os.kill(pid, signal.SIGKILL)
            await supervisor.watch(work())

    with pytest.raises(ChildEndedError, match=r"(?s)victim was ended by SIGKILL.*begun"):
        await watch()

    assert is_cancelled.is_set()


async def test_watched_work_gives_its_result() -> None:
    """`watch` returns the result while all children run."""

    async def work() -> int:
        return 42

    async with supervising(Listener()) as supervisor:
        await supervisor.start(python("child", WAIT_FOR_EVER))
        result = await supervisor.watch(work())

    assert result == 42


async def test_environment_is_extended_and_long_lines_are_skipped() -> None:
    """A child gets its own variables and ours. A line of megabytes does not stop the reading."""
    listener = Listener()
    program = "import os; print('x' * 3_000_000); print(os.environ['GREETING'], 'PATH' in os.environ)"

    async with supervising(listener) as supervisor:
        await supervisor.start(python("child", program, GREETING="hello"))
        await listener.hear("child", "hello True")

    assert listener.lines[-1] == ("child", "hello True")
    assert len(listener.lines) < 10


def test_prefixed_lines_name_their_child() -> None:
    """Each line begins with the name of the child that wrote it."""
    stream = io.StringIO()

    prefixed(stream)("api", "started")

    assert stream.getvalue() == "      api | started\n"


def test_log_files_are_replaced(tmp_path: Path) -> None:
    """A log file contains only the lines of this run."""
    (tmp_path / "api.log").write_text("of an earlier run\n")
    show = filed(tmp_path)

    show("api", "one")
    show("api", "two")

    assert (tmp_path / "api.log").read_text() == "one\ntwo\n"


# In a background job SIGINT is ignored, and children inherit that, so the program resets it.
SUPERVISE_TWO = """
import asyncio, signal, sys
from devstack.child import Command
from devstack.processes import supervising

async def main():
    async with supervising(lambda name, line: None) as supervisor:
        for name in ("first", "second"):
            arguments = (sys.executable, "-c", "import signal; signal.pause()")
            print(await supervisor.start(Command(name=name, arguments=arguments)), flush=True)
        await supervisor.watch(asyncio.Event().wait())

for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_child_outlives_a_signal(number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM, a closed terminal and, on Linux, even a kill leave no child behind."""
    with subprocess.Popen([sys.executable, "-c", SUPERVISE_TWO], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(supervisor.stdout.readline()) for _ in range(2)]

        supervisor.send_signal(number)
        try:
            status = supervisor.wait(DEADLINE.total_seconds())
        finally:
            supervisor.kill()

    assert status == (-number if number == signal.SIGKILL else 128 + number)
    assert all_end(*pids)
