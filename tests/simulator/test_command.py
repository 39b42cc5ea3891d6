import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

COMMAND = str(Path(sys.executable).with_name("dots-simulator"))
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a host like any other here
CREDENTIALS = ("pk_dev_simulator", "sk_dev_simulator")


def start(
    *options: str, directory: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[str]:
    """The real command, started away from the repository."""
    return subprocess.Popen(
        [COMMAND, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env={"PATH": "", **environment},
    )


def run(
    *options: str, directory: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """The real command, expected to end by itself; on a free port should it start after all."""
    return subprocess.run(
        [COMMAND, *options],
        capture_output=True,
        text=True,
        cwd=directory,
        timeout=30,
        check=False,
        env={"PATH": "", "PYTHONIOENCODING": "utf-8", "SIMULATOR_PORT": "0", **environment},
    )


def stop(process: subprocess.Popen[str]) -> tuple[str, str]:
    """End a process that a test started; what it had still printed."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A simulator in a process of its own, and its address."""
    process = start(directory=tmp_path)
    assert process.stdout is not None
    line = process.stdout.readline()
    yield process, line.removeprefix("dots-simulator listening on ").strip()
    if process.poll() is None:
        stop(process)


def test_it_starts_without_options_and_ends_on_sigterm(running: tuple[subprocess.Popen[str], str]) -> None:
    """One line on standard output once it answers; the made-up secret goes to standard error; status 0 within 2 s."""
    process, address = running
    health = httpx.get(f"{address}/_control/healthz")
    page = httpx.get(address)

    asked_at = time.monotonic()
    output, errors = stop(process)

    assert (health.status_code, page.status_code) == (200, 200)
    assert (output, process.returncode) == ("", 0)
    assert errors.startswith("dots-simulator: webhook secret whsec_")
    assert time.monotonic() - asked_at < 2


def test_a_cut_connection_is_really_cut_and_a_hang_does_not_delay_the_end(
    running: tuple[subprocess.Popen[str], str],
) -> None:
    """The caller gets no answer although the flow was made; SIGTERM ends a hanging call."""
    process, address = running
    faults = {"next_responses": ["create_then_cut", {"kind": "hang", "seconds": 60}]}
    with httpx.Client(base_url=address, auth=CREDENTIALS) as client:
        client.patch("/_control/knobs", json={"faults": faults})
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.post("/api/v2/flows", json={"steps": ["payout"]})
        with pytest.raises(httpx.ReadTimeout):
            client.post("/api/v2/flows", json={"steps": ["payout"]}, timeout=0.2)
        flows = client.get("/_control/state").json()["flows"]

    asked_at = time.monotonic()
    _, errors = stop(process)

    assert len(flows) == 2
    assert time.monotonic() - asked_at < 2
    assert "Traceback" not in errors


def test_beyond_loopback_a_control_token_is_made_up_and_asked_for(tmp_path: Path) -> None:
    """It is printed on standard error, like the webhook secret. An empty variable is as good as none."""
    process = start("--host", EVERYWHERE, directory=tmp_path, environment={"SIMULATOR_CONTROL_TOKEN": ""})
    assert process.stdout is not None
    port = process.stdout.readline().strip().rpartition(":")[2]
    url = f"http://127.0.0.1:{port}/_control/state"

    refused = httpx.get(url)
    _, errors = stop(process)

    token = errors.split("control token ")[1].split()[0]
    assert (refused.status_code, len(token)) == (401, 32)


def test_a_control_token_that_is_given_opens_beyond_loopback(tmp_path: Path) -> None:
    """And is not printed; a name that was allowed is answered, another is not."""
    token = "0123456789abcdef"
    options = ("--host", EVERYWHERE, "--control-token", token, "--allowed-hosts", "dots, pages.test")
    process = start(*options, directory=tmp_path)
    assert process.stdout is not None
    port = process.stdout.readline().strip().rpartition(":")[2]

    statuses = [
        httpx.get(
            f"http://127.0.0.1:{port}/_control/state", headers={"authorization": f"Bearer {token}", "host": host}
        ).status_code
        for host in ("dots:8900", "pages.test", "evil.test")
    ]
    _, errors = stop(process)

    assert statuses == [200, 200, 421]
    assert token not in errors


def test_links_lead_to_the_public_url(tmp_path: Path) -> None:
    """Which may be another than the address it listens on."""
    process = start("--public-url", "https://pages.example/", "--client-id", "a", "--api-key", "b", directory=tmp_path)
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]

    flow = httpx.post(f"{address}/api/v2/flows", json={"steps": ["payout"]}, auth=("a", "b")).json()
    stop(process)

    assert flow["link"] == f"https://pages.example/flow/{flow['id']}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--webhook-secret", "secret"),
        ("--webhook-url", "example.com"),
        ("--public-url", "http://"),
        ("--client-id", "a:b"),
        ("--api-key", "ключ"),
        ("--speed", "0"),
        ("--allowed-hosts", "http://dots"),
        ("--control-token", "short"),
        ("--control-token", "with a space in its middle"),
        ("--port", "70000"),
    ],
)
def test_a_malformed_option_is_named(tmp_path: Path, option: str, value: str) -> None:
    """Exit status 2, before anything listens."""
    ended = run(option, value, directory=tmp_path)

    assert ended.returncode == 2
    assert option in ended.stderr


def test_a_malformed_environment_variable_is_named_by_its_option(tmp_path: Path) -> None:
    """Exit status 2 as well."""
    ended = run(directory=tmp_path, environment={"SIMULATOR_WEBHOOK_SECRET": "secret"})

    assert ended.returncode == 2
    assert "--webhook-secret" in ended.stderr


def test_a_port_in_use_is_said_in_one_line(running: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    """Exit status 1, and which option to change."""
    _, address = running
    port = address.rpartition(":")[2]

    second = run("--port", port, directory=tmp_path)

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "--port" in second.stderr
