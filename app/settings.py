"""Settings, from the environment only; every one also as `NAME_FILE`, for mounted secrets."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.errors import SettingsError

DEFAULT_APP = "default"
EVERYWHERE = "0.0.0.0"  # noqa: S104  # in a container, whoever asks is on another host

NotEmpty = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _listed(value: object) -> object:
    return [item for item in re.split(r"[\s,]+", value) if item] if isinstance(value, str) else value


Secrets = Annotated[list[SecretStr], NoDecode, BeforeValidator(_listed), Field(min_length=1, max_length=8)]
Listed = Annotated[list[NotEmpty], NoDecode, BeforeValidator(_listed), Field(max_length=100)]
Seconds = Annotated[list[Annotated[int, Field(gt=0)]], NoDecode, BeforeValidator(_listed), Field(min_length=1)]


# Beside everything of Dots: what may be mounted as a file.
_SECRETS = frozenset({"DATABASE_URL", "ENCRYPTION_KEYS", "EVENT_BROKER_URL"})


class AppSettings(BaseModel):
    """One Dots app: how it is reached, and how its webhooks are signed."""

    api_url: NotEmpty
    client_id: NotEmpty
    api_key: SecretStr
    app_id: NotEmpty | None = None
    webhook_secrets: Secrets


class Settings(BaseSettings):
    """Everything that can be set; durations are whole seconds or days, as their names say."""

    model_config = SettingsConfigDict(env_nested_delimiter="__", case_sensitive=False, extra="ignore")

    database_url: SecretStr | None = None
    database_pool_size: Annotated[int, Field(ge=3, le=200)] = 10
    database_schema: str = "public"
    database_pooler: Literal["none", "session", "transaction"] = "none"
    database_wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 60

    dots_api_url: NotEmpty | None = None
    dots_client_id: NotEmpty | None = None
    dots_api_key: SecretStr | None = None
    dots_app_id: NotEmpty | None = None
    dots_webhook_secrets: Secrets | None = None
    dots_apps: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")], AppSettings] = {}
    dots_timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 10

    refresh_lanes: Annotated[int, Field(ge=1, le=64)] = 4
    refresh_batch: Annotated[int, Field(ge=1, le=100)] = 8
    lease_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    pause_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    sweep_seconds: Seconds = [60, 300, 1800, 7200]
    verdict_poll_seconds: Seconds = [60, 300, 1800, 7200]

    dots_calls_per_second: Annotated[float, Field(gt=0, le=10_000)] = 100
    dots_calls_burst: Annotated[float, Field(ge=10, le=100_000)] = 200
    discover_seconds: Annotated[int, Field(ge=1)] = 300
    follow_foreign_flows: bool = True
    dead_after_hours: Annotated[int, Field(ge=1)] = 24
    verdict_overdue_hours: Annotated[int, Field(ge=1)] = 72

    encryption_keys: Secrets | None = None
    subscribers_allowed: Listed = []
    deliveries_at_once: Annotated[int, Field(ge=1, le=256)] = 8
    delivery_timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 15
    event_broker_url: SecretStr | None = None

    webhook_body_days: Annotated[int, Field(ge=1)] = 30
    webhook_id_days: Annotated[int, Field(ge=100)] = 120
    event_days: Annotated[int, Field(ge=1)] = 90

    metrics_host: NotEmpty = EVERYWHERE
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    log_format: Annotated[str, StringConstraints(pattern="^(json|text)$")] = "json"
    log_level: Annotated[str, StringConstraints(pattern="^(debug|info|warning|error)$")] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read from the environment handed in, and from nothing else."""
        del env_settings, dotenv_settings, file_secret_settings
        environ: Mapping[str, str] = (
            init_settings.init_kwargs.get("environ", {}) if isinstance(init_settings, InitSettingsSource) else {}
        )
        source = EnvSettingsSource(settings_cls)
        source.env_vars = {name.lower(): value for name, value in _with_files(environ).items() if value}
        return (source,)

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        if self.lease_seconds <= self.dots_timeout_seconds:
            raise ValueError("LEASE_SECONDS must be greater than DOTS_TIMEOUT_SECONDS")
        return self

    @property
    def apps(self) -> dict[str, AppSettings]:
        """Every Dots app by its name. Raises SettingsError naming what the default app lacks."""
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
        """Where Postgres is. Raises SettingsError."""
        if self.database_url is None:
            raise SettingsError(
                "DATABASE_URL must be set, for instance to postgresql://user:password@host/name; "
                "`dots-gateway dev` brings a Postgres of its own."
            )
        return self.database_url.get_secret_value()

    @property
    def lease(self) -> timedelta:
        """How long a claimed refresh is its claimer's."""
        return timedelta(seconds=self.lease_seconds)


def read(environ: Mapping[str, str]) -> Settings:
    """The settings in an environment. Raises SettingsError naming each malformed one, never quoting a value."""
    try:
        return Settings(environ=environ)
    except ValidationError as error:
        problems = [f"{_name(problem['loc'])}: {problem['msg']}" for problem in error.errors(include_input=False)]
        raise SettingsError("; ".join(problems)) from None
    except ValueError as error:  # What pydantic-settings says when a nested one is not JSON: it names the field.
        raise SettingsError(str(error)) from None


def _name(location: tuple[int | str, ...]) -> str:
    return "__".join(str(part).upper() for part in location) or "settings"


def _with_files(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with each `NAME_FILE` read into `NAME`; both at once would leave the choice to chance."""
    expanded: dict[str, Any] = {name: value for name, value in environ.items() if not _is_file_setting(name)}
    for name, path in environ.items():
        if not _is_file_setting(name):
            continue
        target = name.removesuffix("_FILE")
        if target in environ:
            raise SettingsError(f"Set either {target} or {name}, not both.")
        try:
            expanded[target] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            raise SettingsError(f"{name} does not name a file that can be read.") from None
    return expanded


def _is_file_setting(name: str) -> bool:
    upper = name.upper()
    return upper.endswith("_FILE") and (upper.startswith("DOTS_") or upper.removesuffix("_FILE") in _SECRETS)
