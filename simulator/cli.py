"""The command `dots-simulator`: reads the options, builds the application and serves it."""

import asyncio
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from random import SystemRandom
from typing import Annotated
from urllib.parse import urlsplit

import typer

from simulator import server
from simulator.application import create_app
from simulator.delivery import signing
from simulator.knobs import Knobs, WebhookKnobs
from simulator.settings import DEFAULT_API_KEY, DEFAULT_CLIENT_ID, Settings
from simulator.simulation import build

_LOOPBACK_BY_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not bound to

_HOST_NAME = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_TOKEN = re.compile(r"[!-~]{16,200}")
_TOKEN_BYTES = 24


def _web_address(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        is_web_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web_address = False
    if not is_web_address:
        raise typer.BadParameter("must be an http or https URL with a host")
    return value.rstrip("/") if parts.path == "/" else value


def _webhook_secret(value: str | None) -> str | None:
    if value is not None:
        try:
            signing.key(value)
        except signing.SecretError as failure:
            raise typer.BadParameter("must be whsec_ followed by the base64 of 16 to 64 bytes") from failure
    return value


def _credential(value: str) -> str:
    if not value or ":" in value or not value.isascii():
        raise typer.BadParameter("must be ASCII, not empty, and without a colon")
    return value


def _host_names(value: str | None) -> str | None:
    if value is not None and not all(_HOST_NAME.fullmatch(name) for name in _listed(value)):
        raise typer.BadParameter("must be host names or addresses without ports, separated by commas")
    return value


def _token(value: str | None) -> str | None:
    if value is not None and not _TOKEN.fullmatch(value):
        raise typer.BadParameter("must be 16 or more ASCII characters without white space")
    return value


def _listed(value: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


def _speed(value: float) -> float:
    if not 0 < value < float("inf"):
        raise typer.BadParameter("must be a number above 0")
    return value


def _serve(
    *,
    host: Annotated[str, typer.Option(envvar="SIMULATOR_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="SIMULATOR_PORT", min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = 8900,
    webhook_url: Annotated[
        str | None,
        typer.Option(envvar="SIMULATOR_WEBHOOK_URL", callback=_web_address, help="URL that receives webhooks."),
    ] = None,
    webhook_secret: Annotated[
        str | None,
        typer.Option(
            envvar="SIMULATOR_WEBHOOK_SECRET",
            callback=_webhook_secret,
            help="Secret (whsec_…) that signs webhooks. By default a new one is printed on standard error.",
        ),
    ] = None,
    client_id: Annotated[
        str, typer.Option(envvar="SIMULATOR_CLIENT_ID", callback=_credential, help="User name of the API.")
    ] = DEFAULT_CLIENT_ID,
    api_key: Annotated[
        str, typer.Option(envvar="SIMULATOR_API_KEY", callback=_credential, help="Password of the API.")
    ] = DEFAULT_API_KEY,
    speed: Annotated[
        float,
        typer.Option(envvar="SIMULATOR_SPEED", callback=_speed, help="Divides all waits of the retry schedule."),
    ] = 1.0,
    public_url: Annotated[
        str | None,
        typer.Option(envvar="SIMULATOR_PUBLIC_URL", callback=_web_address, help="Base URL of flow links."),
    ] = None,
    allowed_hosts: Annotated[
        str | None,
        typer.Option(
            envvar="SIMULATOR_ALLOWED_HOSTS",
            callback=_host_names,
            help="More host names to answer to, separated by commas. Loopback and the --public-url host always work.",
        ),
    ] = None,
    control_token: Annotated[
        str | None,
        typer.Option(
            envvar="SIMULATOR_CONTROL_TOKEN",
            callback=_token,
            help="Bearer token or password for /_control and the overview. If the simulator listens beyond loopback, "
            "the default is a new token, printed on standard error.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(envvar="SIMULATOR_SEED", help="Makes ids and random choices repeatable.")
    ] = None,
) -> None:
    """Simulate Dots: its API under /api, a page at each flow's link, signed webhooks, and /_control for tests."""
    try:
        listener = server.listen(host, port)
    except OSError as failure:
        typer.echo(f"dots-simulator: cannot listen on {host}:{port} (--host, --port): {failure}", err=True)
        raise typer.Exit(1) from failure
    address = server.url_of(listener)
    if control_token is None and not server.is_on_loopback(listener):
        control_token = secrets.token_urlsafe(_TOKEN_BYTES)
        typer.echo(f"dots-simulator: control token {control_token}", err=True)
    settings = Settings(
        public_url=public_url or _reachable(address),
        webhook_url=webhook_url,
        webhook_secret=webhook_secret or signing.new_secret(SystemRandom()),
        client_id=client_id,
        api_key=api_key,
        allowed_hosts=_listed(allowed_hosts),
        control_token=control_token,
        seed=seed,
        knobs=Knobs(seed=seed, webhooks=WebhookKnobs(speed=speed)),
    )
    if webhook_secret is None:
        typer.echo(f"dots-simulator: webhook secret {settings.webhook_secret}", err=True)
    simulation = build(settings, clock=lambda: datetime.now(UTC), sleep=asyncio.sleep)
    server.serve(create_app(simulation), listener, announce=_announcement(address), stop=simulation.stopping.set)


def _announcement(address: str) -> Callable[[], None]:
    """A function that prints the address on standard output."""

    def announce() -> None:
        print(f"dots-simulator listening on {address}", flush=True)  # noqa: T201 - the command's one line

    return announce


def _reachable(address: str) -> str:
    """The address that a browser on this machine can open: loopback if the simulator listens on all addresses."""
    for wildcard, loopback in _LOOPBACK_BY_WILDCARD.items():
        address = address.replace(f"//{wildcard}:", f"//{loopback}:").replace(f"//[{wildcard}]:", f"//{loopback}:")
    return address


def main() -> None:
    """Run the command."""
    typer.run(_serve)
