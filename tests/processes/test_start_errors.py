"""A start with an unusable setting ends with one line that names the setting, without a traceback."""

import re
import socket

import pytest

from app import settings
from app.errors import SettingsError
from app.processes import dots_wiring, wiring
from tests.commands.test_main import run_apart
from tests.test_settings import DEFAULT_APP, EU_APP

SECRET = "whsec_c2ltdWxhdG9yLW9ubHktbm90LWEtc2VjcmV0ISE="
GOOD = DEFAULT_APP | {"DATABASE_URL": "postgresql://shop@127.0.0.1:1/payouts", "DOTS_WEBHOOK_SECRETS": SECRET}
EU = {name: SECRET if name.endswith("SECRETS") else value for name, value in EU_APP.items()}

# Settings added to the good ones, and the setting that the error must name.
BROKEN = [
    (
        {"DATABASE_URL": "postgresql://shop:hunter2@db/payouts?sslmode=verify-ca&sslrootcert=/missing.pem"},
        "sslrootcert",
    ),
    ({"DATABASE_URL": "postgresql://shop:hunter2@db/payouts?unheard_of=hunter2"}, "DATABASE_URL"),
    ({"DOTS_API_URL": "hunter2"}, "DOTS_API_URL"),
    ({"DOTS_APP_ID": "hunter 2"}, "DOTS_APP_ID"),
    ({"DOTS_PROXY_URL": "socks5://hunter2@proxy"}, "DOTS_PROXY_URL"),
    ({"DOTS_WEBHOOK_SECRETS": "hunter2"}, "DOTS_WEBHOOK_SECRETS"),
    ({"DOTS_WEBHOOK_SECRETS": f"{SECRET},whsec_hunter2"}, "DOTS_WEBHOOK_SECRETS"),
    (EU | {"DOTS_APPS__EU__API_URL": "hunter2"}, "DOTS_APPS__EU__API_URL"),
    (EU | {"DOTS_APPS__EU__APP_ID": "hunter 2"}, "DOTS_APPS__EU__APP_ID"),
    (EU | {"DOTS_APPS__EU__WEBHOOK_SECRETS": "hunter2"}, "DOTS_APPS__EU__WEBHOOK_SECRETS"),
    ({"ENCRYPTION_KEYS": "hunter2"}, "ENCRYPTION_KEYS"),
    ({"SUBSCRIBERS_ALLOWED": "hunter2"}, "SUBSCRIBERS_ALLOWED"),
    ({"EVENT_BROKER_URL": "http://hunter2@broker"}, "EVENT_BROKER_URL"),
    ({"EVENT_BROKER_URL": "kafka://hunter2@broker?sasl=gssapi"}, "EVENT_BROKER_URL"),
    ({"SSL_CERT_FILE": "/missing/hunter2.pem"}, "SSL_CERT_FILE"),
    ({"SSL_CERT_DIR": "/missing/hunter2"}, "SSL_CERT_DIR"),
]


@pytest.mark.parametrize(("environ", "named"), BROKEN)
async def test_unusable_setting_is_named(environ: dict[str, str], named: str) -> None:
    """The error appears before the first connection. It is one line, without the value."""
    with pytest.raises(SettingsError) as caught:
        await build_everything(settings.read(GOOD | environ))

    assert named in re.findall(r"\w+", caught.value.detail)
    assert "\n" not in caught.value.detail
    assert "hunter" not in caught.value.detail


async def test_good_settings_are_accepted() -> None:
    """The table above changes these settings one by one."""
    await build_everything(settings.read(GOOD | EU))


async def build_everything(found: settings.Settings) -> None:
    """Build what a worker and an api build before they connect."""
    async with wiring.open_inputs(found), wiring.open_broker(found):
        dots_wiring.verifiers(found)


@pytest.mark.parametrize(("arguments", "busy"), [(["api"], "--port"), (["worker"], "METRICS_PORT")])
def test_busy_port_ends_the_start_with_one_line(database_url: str, arguments: list[str], busy: str) -> None:
    """The exit status is 1, and the line names the setting, the host and the port."""
    environ = GOOD | {"DATABASE_URL": database_url, "METRICS_HOST": "127.0.0.1"}
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        if busy == "METRICS_PORT":
            ended = run_apart(*arguments, **environ, METRICS_PORT=port)
        else:
            ended = run_apart(*arguments, busy, port, **environ)

    lines = [line for line in ended.stderr.splitlines() if not line.startswith("{")]  # Skips the log, which is JSON.
    assert (ended.status, ended.stdout) == (1, "")
    assert lines == [f"dots-gateway: {busy}: cannot listen on 127.0.0.1:{port}: another program listens there."]
