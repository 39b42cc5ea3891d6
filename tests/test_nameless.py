"""The commands under a user id without a name and with a HOME that cannot be read, as containers run them."""

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
    """Status, output and errors of a command that ends by itself."""
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    return process.returncode, out, err


def test_help_is_printed(tmp_path: Path) -> None:
    """Nothing that is imported looks into HOME."""
    status, out, err = output_of(started([COMMAND, "--help"], tmp_path, {}))

    assert (status, err) == (0, "")
    assert "migrate" in out


def test_migrate_works(empty_database_url: str, tmp_path: Path) -> None:
    """Alembic and the driver do not look into HOME either."""
    status, out, err = output_of(started([COMMAND, "migrate"], tmp_path, GOOD | {"DATABASE_URL": empty_database_url}))

    assert (status, err) == (0, "")
    assert out.startswith("The database is at schema ")


def test_api_and_worker_serve_and_end(database_url: str, tmp_path: Path) -> None:
    """From the start to SIGTERM."""
    environ = GOOD | {"DATABASE_URL": database_url, "EVENT_BROKER_URL": "nats://127.0.0.1:1"}
    process = started([COMMAND, "api", "--with-worker", "--port", "0"], tmp_path, environ)
    # Ends the process, and with it every wait below, should it hang.
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
    """What the process logs, up to a line with this word or its end."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if word in line:
            break
    return "".join(lines)
