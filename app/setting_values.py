"""The types of settings, and how each is read from text."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from app import environment

NotEmpty = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _listed(value: object) -> object:
    """Split a text into items. Each may have its own quotes."""
    if not isinstance(value, str):
        return value
    return [item for item in map(environment.clean, re.split(r"[\s,]+", value)) if item]


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _long_name(value: object) -> object:
    return "warning" if value == "warn" else value


def _check_identifier(name: str) -> str:
    """Accept names that mean the same with and without quotes in SQL, and that Postgres does not reserve."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name) or name.startswith("pg_") or name == "information_schema":
        raise ValueError("must be lower-case letters, digits and underscores, at most 63, and not begin with pg_")
    return name


Secrets = Annotated[list[SecretStr], NoDecode, BeforeValidator(_listed), Field(min_length=1, max_length=8)]
Listed = Annotated[list[NotEmpty], NoDecode, BeforeValidator(_listed), Field(max_length=100)]
Seconds = Annotated[list[Annotated[int, Field(gt=0)]], NoDecode, BeforeValidator(_listed), Field(min_length=1)]
Lowered = BeforeValidator(_lowered)
# Validators before the type run from right to left.
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_long_name), Lowered]
Identifier = Annotated[str, AfterValidator(_check_identifier)]
