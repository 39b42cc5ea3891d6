"""Builds from settings what communicates with Dots: clients, verifiers of webhooks, and the table of app ids."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots import network, signature
from app.dots.app_ids import AppIds
from app.dots.budget import Budget
from app.dots.call_ledger import CallLedger
from app.dots.client import DotsAccess, DotsClient, DotsClients
from app.dots.gate import Gate
from app.dots.network import Network
from app.dots.signature import Verifier
from app.errors import SettingsError
from app.settings import AppSettings, Settings, setting_prefix


def clients(settings: Settings, engine: AsyncEngine, *, now: Callable[[], datetime]) -> DotsClients:
    """Build a client for each app. They share one network. Raises SettingsError."""
    way = _network(settings)
    budget = Budget(per_second=settings.dots_calls_per_second, burst=settings.dots_calls_burst)
    ledger = CallLedger(engine, budget=budget, now=now)
    built = DotsClients()
    for name, app in settings.apps.items():
        first_pause = timedelta(seconds=settings.pause_seconds)
        gate = Gate(name, budget=budget, ledger=ledger, first_pause=first_pause, now=now)
        built[name] = _client(app, settings, way, gate)
    return built


def verifiers(settings: Settings) -> Mapping[str, Verifier]:
    """Build the verifier of webhook signatures for each app. Raises SettingsError."""
    return {name: _verifier(name, app) for name, app in settings.apps.items()}


def app_ids(settings: Settings) -> AppIds:
    """Build the table of Dots' app ids, which finds the app of an organization's webhook. Raises SettingsError."""
    return AppIds({name: app.app_id for name, app in settings.apps.items()})


def secret_keys(app: AppSettings) -> list[bytes]:
    """Decode an app's webhook secrets, in the order of the setting. Raises SettingsError."""
    return [signature.decode_secret(secret.get_secret_value()) for secret in app.webhook_secrets]


def _verifier(name: str, app: AppSettings) -> Verifier:
    try:
        return Verifier(secret_keys(app))
    except SettingsError as error:
        raise SettingsError(f"{setting_prefix(name)}WEBHOOK_SECRETS: {error.detail}") from None


def _network(settings: Settings) -> Network:
    return network.build(
        cert_file=settings.ssl_cert_file,
        cert_dir=settings.ssl_cert_dir,
        proxy_url=settings.dots_proxy_url.get_secret_value() if settings.dots_proxy_url else None,
    )


def _client(app: AppSettings, settings: Settings, way: Network, gate: Gate) -> DotsClient:
    access = DotsAccess(
        app=gate.app,
        base_url=app.api_url,
        client_id=app.client_id,
        api_key=app.api_key.get_secret_value(),
        app_id=app.app_id,
        setting_prefix=setting_prefix(gate.app),
    )
    return DotsClient(access, gate=gate, timeout=timedelta(seconds=settings.dots_timeout_seconds), network=way)
