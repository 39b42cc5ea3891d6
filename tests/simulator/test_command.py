import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from simulator import cli

COMMAND = str(Path(sys.executable).with_name("dots-simulator"))
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - the simulator asks for a token there
CREDENTIALS = ("pk_dev_simulator", "sk_dev_simulator")

Started = tuple[subprocess.Popen[str], str]


def start(*options: str, directory: Path, **environment: str) -> Started:
    """Start the installed command outside the repository; the process and its address."""
    process = subprocess.Popen(
        [COMMAND, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env={"PATH": "", **environment},
    )
    assert process.stdout is not None
    return process, process.stdout.readline().removeprefix("dots-simulator listening on ").strip()


def stop(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Stop the process; the rest of its output, and its standard error."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Started]:
    """A simulator started without options, and its address."""
    process, address = start(directory=tmp_path)
    yield process, address
    if process.poll() is None:
        stop(process)


def test_it_starts_without_options_and_stops_on_sigterm(running: Started) -> None:
    """It prints its address on standard output and a new secret on standard error, and exits with 0 within 2 s."""
    process, address = running
    health = httpx.get(f"{address}/_control/healthz")
    page = httpx.get(address)

    stopped_at = time.monotonic()
    output, errors = stop(process)

    assert (health.status_code, page.status_code) == (200, 200)
    assert (output, process.returncode) == ("", 0)
    assert errors.startswith("dots-simulator: webhook secret whsec_")
    assert time.monotonic() - stopped_at < 2


def test_cuts_close_the_connection_and_hangs_do_not_delay_the_stop(running: Started) -> None:
    """The caller gets no answer although the flow was created. SIGTERM ends a hanging call."""
    process, address = running
    faults = {"next_responses": ["create_then_cut", {"kind": "hang", "seconds": 60}]}
    with httpx.Client(base_url=address, auth=CREDENTIALS) as client:
        client.patch("/_control/knobs", json={"faults": faults})
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.post("/api/v2/flows", json={"steps": ["payout"]})
        with pytest.raises(httpx.ReadTimeout):
            client.post("/api/v2/flows", json={"steps": ["payout"]}, timeout=0.2)
        flows = client.get("/_control/state").json()["flows"]

    stopped_at = time.monotonic()
    _, errors = stop(process)

    assert len(flows) == 2
    assert time.monotonic() - stopped_at < 2
    assert "Traceback" not in errors


def test_beyond_loopback_the_control_api_requires_a_printed_token(tmp_path: Path) -> None:
    """Standard error shows the new token. An empty variable counts as unset."""
    process, address = start("--host", ALL_ADDRESSES, directory=tmp_path, SIMULATOR_CONTROL_TOKEN="")

    refused = httpx.get(f"http://127.0.0.1:{address.rpartition(':')[2]}/_control/state")
    _, errors = stop(process)

    token = errors.split("control token ")[1].split()[0]
    assert (refused.status_code, len(token)) == (401, 32)


def test_options_set_token_hosts_credentials_and_public_url(tmp_path: Path) -> None:
    """Only the allowed host names work, the token is not printed, and links start with the public URL."""
    token = "0123456789abcdef"
    options = ["--host", ALL_ADDRESSES, "--control-token", token, "--allowed-hosts", "dots, pages.test"]
    options += ["--public-url", "https://pages.example/", "--client-id", "a", "--api-key", "b"]
    process, address = start(*options, directory=tmp_path)
    url = f"http://127.0.0.1:{address.rpartition(':')[2]}"

    statuses = [
        httpx.get(f"{url}/_control/state", headers={"authorization": f"Bearer {token}", "host": host}).status_code
        for host in ("dots:8900", "pages.test", "evil.test")
    ]
    flow = httpx.post(f"{url}/api/v2/flows", json={"steps": ["payout"]}, auth=("a", "b")).json()
    _, errors = stop(process)

    assert statuses == [200, 200, 421]
    assert flow["link"] == f"https://pages.example/flow/{flow['id']}"
    assert token not in errors


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
@pytest.mark.parametrize("from_environment", [False, True])
def test_the_error_names_a_malformed_option(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    from_environment: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """Exit status 2, also if the value comes from the environment."""
    given = [] if from_environment else [option, value]
    if from_environment:
        monkeypatch.setenv(f"SIMULATOR_{option.removeprefix('--').replace('-', '_').upper()}", value)
    # The host has no address, so that an accepted value fails with status 1 instead of serving.
    monkeypatch.setattr(sys, "argv", ["dots-simulator", "--host", "host.invalid", *given])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert (ended.value.code, option in capsys.readouterr().err) == (2, True)


def test_a_port_in_use_is_reported_in_one_line(running: Started, tmp_path: Path) -> None:
    """Exit status 1. The line names the option to change."""
    _, address = running
    port = address.rpartition(":")[2]

    second = subprocess.run(
        [COMMAND, "--port", port],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=30,
        check=False,
        env={"PATH": ""},
    )

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "--port" in second.stderr
