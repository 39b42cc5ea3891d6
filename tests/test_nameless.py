"""The commands run under a user id without a name and with an unreadable HOME, as in containers."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.nameless import started
from tests.processes.test_start_errors import GOOD

COMMAND = str(Path(sys.executable).with_name("dots-gateway"))
DEADLINE_SECONDS = 120


def output_of(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return status, output and errors of a command that ends by itself."""
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    return process.returncode, out, err


def test_migrate_works(empty_database_url: str, tmp_path: Path) -> None:
    """The imports, Alembic and the driver do not need HOME."""
    status, out, err = output_of(started([COMMAND, "migrate"], tmp_path, GOOD | {"DATABASE_URL": empty_database_url}))

    assert (status, err) == (0, "")
    assert out.startswith("The database is at schema ")


def test_api_and_worker_start_and_stop(database_url: str, tmp_path: Path) -> None:
    """The api with a worker runs until SIGTERM."""
    environ = GOOD | {"DATABASE_URL": database_url, "EVENT_BROKER_URL": "nats://127.0.0.1:1"}
    process = started([COMMAND, "api", "--with-worker", "--port", "0"], tmp_path, environ)
    # If the process hangs, this ends it, and with it every wait below.
    timer = threading.Timer(DEADLINE_SECONDS, process.kill)
    timer.start()
    try:
        logged = _read_until(process, '"listening"')
        process.send_signal(signal.SIGTERM)
        status, _, rest = output_of(process)
    finally:
        timer.cancel()
        process.kill()

    assert status == 0
    assert "Traceback" not in logged + rest
    assert '"api stopped"' in rest


def _read_until(process: subprocess.Popen[str], word: str) -> str:
    """Return the log up to a line with this word, or up to the end."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if word in line:
            break
    return "".join(lines)
