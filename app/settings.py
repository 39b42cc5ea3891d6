"""Settings, read from environment variables only. A secret may also be a mounted file, named by `NAME_FILE`."""

import difflib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app import environment
from app.errors import SettingsError
from app.setting_values import Identifier, Level, Listed, Lowered, NotEmpty, Seconds, Secrets

DEFAULT_APP = "default"
EVERYWHERE = "0.0.0.0"  # noqa: S104  # the clients of a container are on other hosts


class AppSettings(BaseModel):
    """One Dots app: its address, its credentials and the secrets of its webhooks."""

    api_url: NotEmpty
    client_id: NotEmpty
    api_key: SecretStr
    app_id: NotEmpty | None = None
    webhook_secrets: Secrets

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, values: object) -> object:
        """Clean the values inside `DOTS_APPS`, which may be JSON, in the same way as values of single variables."""
        if not isinstance(values, dict):
            return values
        cleaned = {key: environment.clean(value) if isinstance(value, str) else value for key, value in values.items()}
        return {key: value for key, value in cleaned.items() if value != ""}


class Settings(BaseSettings):
    """All settings. A duration is in the unit that its name ends with."""

    model_config = SettingsConfigDict(env_nested_delimiter="__", case_sensitive=False, extra="ignore")

    database_url: SecretStr | None = None
    database_pool_size: Annotated[int, Field(ge=3, le=200)] = 10
    database_pooler: Annotated[Literal["none", "session", "transaction"], Lowered] = "none"
    database_schema: Identifier = "public"
    database_wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 60

    dots_api_url: NotEmpty | None = None
    dots_client_id: NotEmpty | None = None
    dots_api_key: SecretStr | None = None
    dots_app_id: NotEmpty | None = None
    dots_webhook_secrets: Secrets | None = None
    dots_apps: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")], AppSettings] = {}
    dots_timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 10
    dots_proxy_url: SecretStr | None = None
    # The variables that OpenSSL reads; we check them, because OpenSSL ignores a file that it cannot read.
    ssl_cert_file: NotEmpty | None = None
    ssl_cert_dir: NotEmpty | None = None

    refreshes_in_flight: Annotated[int, Field(ge=1, le=1024)] = 32
    lease_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    pause_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    sweep_seconds: Seconds = [60, 300, 1800, 7200]
    verdict_poll_seconds: Seconds = [60, 300, 1800, 7200]

    dots_complete_passed_over: bool = False
    dots_calls_per_second: Annotated[float, Field(gt=0, le=10_000)] = 100
    dots_calls_burst: Annotated[float, Field(ge=10, le=100_000)] = 200
    discover_seconds: Annotated[int, Field(ge=1)] = 300
    follow_foreign_flows: bool = True
    dead_after_hours: Annotated[int, Field(ge=1)] = 24
    verdict_overdue_hours: Annotated[int, Field(ge=1)] = 72

    encryption_keys: Secrets | None = None
    subscribers_allowed: Listed = []
    deliveries_at_once: Annotated[int, Field(ge=1, le=256)] = 8
    deliveries_in_flight: Annotated[int, Field(ge=1, le=1024)] = 64
    delivery_timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 15
    event_broker_url: SecretStr | None = None

    webhook_body_days: Annotated[int, Field(ge=1)] = 30
    webhook_id_days: Annotated[int, Field(ge=100)] = 120
    event_days: Annotated[int, Field(ge=1)] = 90
    idempotency_hours: Annotated[int, Field(ge=1)] = 24

    metrics_host: NotEmpty = EVERYWHERE
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    log_format: Annotated[Literal["json", "text"], Lowered] = "json"
    log_level: Level = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read only from the environment that was passed in."""
        del env_settings, dotenv_settings, file_secret_settings
        environ: Mapping[str, str] = (
            init_settings.init_kwargs.get("environ", {}) if isinstance(init_settings, InitSettingsSource) else {}
        )
        source = EnvSettingsSource(settings_cls)
        source.env_vars = {name.lower(): value for name, value in environment.read(environ).items()}
        return (source,)

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        if self.lease_seconds <= self.dots_timeout_seconds:
            raise ValueError("LEASE_SECONDS must be greater than DOTS_TIMEOUT_SECONDS")
        return self

    @property
    def apps(self) -> dict[str, AppSettings]:
        """All Dots apps by name. Raises SettingsError, which names the settings that the default app lacks."""
        own = {
            "DOTS_API_URL": self.dots_api_url,
            "DOTS_CLIENT_ID": self.dots_client_id,
            "DOTS_API_KEY": self.dots_api_key,
            "DOTS_WEBHOOK_SECRETS": self.dots_webhook_secrets,
        }
        missing = [name for name, value in own.items() if value is None]
        if self.dots_apps and len(missing) == len(own):
            return self.dots_apps
        if missing:
            raise SettingsError(f"{', '.join(missing)} must be set.")
        default = AppSettings(
            api_url=self.dots_api_url or "",
            client_id=self.dots_client_id or "",
            api_key=self.dots_api_key or SecretStr(""),
            app_id=self.dots_app_id,
            webhook_secrets=self.dots_webhook_secrets or [],
        )
        return {DEFAULT_APP: default, **self.dots_apps}

    @property
    def required_database_url(self) -> str:
        """The value of DATABASE_URL. Raises SettingsError if it is not set."""
        if self.database_url is None:
            raise SettingsError(
                "DATABASE_URL must be set, for instance to postgresql://user:password@host/name; "
                "`dots-gateway dev` starts its own Postgres."
            )
        return self.database_url.get_secret_value()

    @property
    def lease(self) -> timedelta:
        """How long a worker may hold a refresh that it has claimed."""
        return timedelta(seconds=self.lease_seconds)


def read(environ: Mapping[str, str]) -> Settings:
    """Read the settings. Raises SettingsError, which names every malformed setting and quotes no value."""
    try:
        return Settings(environ=environ)
    except ValidationError as error:
        problems = [
            f"{_name(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False)
        ]
        raise SettingsError("; ".join(problems)) from None
    except ValueError as error:  # pydantic-settings raises it, with the field's name, if a nested value is not JSON.
        raise SettingsError(str(error)) from None


def _name(location: tuple[int | str, ...]) -> str:
    return "__".join(str(part).upper() for part in location) or "settings"


def setting_prefix(app: str) -> str:
    """Return the prefix of an app's settings, to name them in messages."""
    return "DOTS_" if app == DEFAULT_APP else f"DOTS_APPS__{app.upper()}__"


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """Return the DOTS_ variables that are no settings, in alphabetical order. Most likely they are misspelt."""
    known = _known_names()
    of_apps = re.compile(rf"DOTS_APPS__[A-Z0-9-]{{1,32}}__({'|'.join(_app_fields())})")
    return [
        name
        for name in environment.own_names(environ, "DOTS_")
        if name.removesuffix("_FILE") not in known and not of_apps.fullmatch(name.removesuffix("_FILE"))
    ]


def nearest_name(name: str) -> str | None:
    """Return the setting whose name is most like this unknown name. None if no name is close."""
    prefix, has_app, field = name.rpartition("__")
    known = _app_fields() if has_app else sorted(_known_names())
    found = difflib.get_close_matches(field if has_app else name, known, n=1, cutoff=0.8)
    return f"{prefix}{has_app}{found[0]}" if found else None


def _known_names() -> set[str]:
    return {name.upper() for name in Settings.model_fields if name.startswith("dots_")}


def _app_fields() -> list[str]:
    return [name.upper() for name in AppSettings.model_fields]
