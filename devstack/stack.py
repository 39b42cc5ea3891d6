"""Starts the whole service on this machine: migrates the database, then runs simulator, api and worker."""

import contextlib
import secrets
import sys
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from app.access import manage_keys
from app.errors import KeyRefusedError
from app.processes import wiring
from app.storage import database, migrations
from app.subscriptions.push import secret_cipher
from devstack.child import Command
from devstack.processes import Supervisor

SIMULATOR_CLIENT_ID = "pk_dev_simulator"
SIMULATOR_API_KEY = "sk_dev_simulator"
WEBHOOK_SECRET_BYTES = 24


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The URLs of the running service, and a key with all scopes."""

    api_url: str
    simulator_url: str
    key: str


async def start(
    supervisor: Supervisor,
    *,
    database_url: str,
    api_port: int,
    simulator_port: int,
    keep_in: Path | None,
    speed: float = 1.0,
) -> Stack:
    """Migrate the database, start all processes, and return when the api is ready.

    `speed` divides the simulator's waiting times between retries of webhooks. If `keep_in` is given, the API key and
    the encryption key are kept there for the next start.

    Raises ChildEndedError, ChildNotReadyError, DatabaseUnavailableError.
    """
    api_url, simulator_url = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{simulator_port}"
    secret = "whsec_" + b64encode(secrets.token_bytes(WEBHOOK_SECRET_BYTES)).decode()
    await migrations.upgrade(database_url)
    key = await _key(database_url, keep_in and keep_in / "key")
    await supervisor.start(_simulator(simulator_url, simulator_port, f"{api_url}/webhooks/dots", secret, speed))
    environment = {
        "DATABASE_URL": database_url,
        "DOTS_API_URL": f"{simulator_url}/api",
        "DOTS_CLIENT_ID": SIMULATOR_CLIENT_ID,
        "DOTS_API_KEY": SIMULATOR_API_KEY,
        "DOTS_WEBHOOK_SECRETS": secret,
        "ENCRYPTION_KEYS": _encryption_key(keep_in and keep_in / "encryption-key"),
        "SUBSCRIBERS_ALLOWED": "127.0.0.0/8:1-65535",
        "LOG_FORMAT": "text",
    }
    gateway = _program("dots-gateway")
    await supervisor.start(
        Command(
            name="api",
            arguments=(gateway, "api", "--port", str(api_port)),
            environment=environment,
            ready_url=f"{api_url}/readyz",
        )
    )
    await supervisor.start(Command(name="worker", arguments=(gateway, "worker"), environment=environment))
    return Stack(api_url=api_url, simulator_url=simulator_url, key=key)


def _simulator(url: str, port: int, webhook_url: str, secret: str, speed: float) -> Command:
    return Command(
        name="simulator",
        arguments=(_program("dots-simulator"), "--port", str(port)),
        environment={
            "SIMULATOR_WEBHOOK_URL": webhook_url,
            "SIMULATOR_WEBHOOK_SECRET": secret,
            "SIMULATOR_SPEED": str(speed),
        },
        ready_url=f"{url}/_control/healthz",
    )


def _program(name: str) -> str:
    """The path of a command of this installation, which may not be on the PATH."""
    return str(Path(sys.executable).with_name(name))


async def _key(database_url: str, key_file: Path | None) -> str:
    """The API key of the last start if it still works, otherwise a new one."""
    engine = database.create_engine(database_url, pool_size=1)
    try:
        if kept := _read(key_file):
            with contextlib.suppress(KeyRefusedError):  # It is the key of another database.
                await manage_keys.check_key(engine, kept)
                return kept
        new = await manage_keys.create_key(
            engine, name="dev", scopes=manage_keys.SCOPES, now=wiring.utc_now(), random_bytes=secrets.token_bytes
        )
    finally:
        await engine.dispose()
    _keep(key_file, new.key)
    return new.key


def _encryption_key(key_file: Path | None) -> str:
    """The encryption key of the last start, so that its secrets stay readable, otherwise a new one."""
    kept = _read(key_file)
    if kept is None:
        kept = f"dev:{b64encode(secrets.token_bytes(secret_cipher.KEY_BYTES)).decode()}"
        _keep(key_file, kept)
    return kept


def _read(key_file: Path | None) -> str | None:
    return key_file.read_text().strip() if key_file and key_file.exists() else None


def _keep(key_file: Path | None, key: str) -> None:
    if key_file is not None:
        key_file.touch(mode=0o600)
        key_file.write_text(key)
