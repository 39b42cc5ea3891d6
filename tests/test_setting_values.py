"""Every setting may be written in the ways in which env files, compose files and manifests write values."""

import json
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest

from app import settings
from app.settings import AppSettings, Settings
from tests.test_settings import EU_APP

QUOTINGS = [" {} ", '"{}"', "'{}'", " '{}'\n", '\t" {} "\r\n']
NOTHING = ["", "   ", "\n", '""', "''", " '' ", '" "']
LIST_FORMATS = ["{0},{1}", "{0}, {1},", ",{0}\n{1}", "'{0}, {1},'", '"{0}","{1}"', "'{0}' '{1}'"]
TRUE, FALSE = ["true", "True", "TRUE", "1", "yes", "on"], ["false", "False", "FALSE", "0", "no", "off"]


def kinds_of(kind: Any) -> set[Any]:
    """Return the types that a value may have, without annotations and None."""
    if get_origin(kind) in {Annotated, Union, UnionType}:
        return {inner for argument in get_args(kind) for inner in kinds_of(argument)}
    return {get_origin(kind) or kind} if isinstance(kind, type) or get_origin(kind) else set()


def sample_of(name: str) -> str:
    """Return a valid value of a setting that is not its default."""
    field = Settings.model_fields[name]
    kinds = kinds_of(field.annotation)
    if bool in kinds:
        return "false" if field.default else "true"
    if kinds & {int, float}:
        return str(field.default + 1 if field.default else 9000)
    if list in kinds:
        return "7,8"
    if Literal in kinds:
        return next(str(choice) for choice in get_args(field.annotation) if choice != field.default)
    return "words"


NAMES = sorted(Settings.model_fields.keys() - {"dots_apps"})
LISTS = [name for name in NAMES if sample_of(name) == "7,8"]
SWITCHES = [name for name in NAMES if Settings.model_fields[name].annotation is bool]


@pytest.mark.parametrize("name", NAMES)
def test_white_space_and_one_pair_of_quotes_are_stripped(name: str) -> None:
    """A quoted value means the same as without quotes."""
    plain = settings.read({name.upper(): sample_of(name)})

    assert plain != settings.read({})
    assert [way for way in QUOTINGS if settings.read({name.upper(): way.format(sample_of(name))}) != plain] == []


@pytest.mark.parametrize("name", NAMES)
def test_empty_counts_as_not_set(name: str) -> None:
    """A compose file passes unset variables on as empty ones. The default applies to them, quoted or not."""
    assert [value for value in NOTHING if settings.read({name.upper(): value}) != settings.read({})] == []


@pytest.mark.parametrize("name", LISTS)
def test_list_may_be_written_in_many_ways(name: str) -> None:
    """Commas or white space separate items, further commas do no harm, and quotes may be around all or each."""
    plain = settings.read({name.upper(): "7,8"})

    assert [way for way in LIST_FORMATS if settings.read({name.upper(): way.format("7", "8")}) != plain] == []


@pytest.mark.parametrize("name", SWITCHES)
def test_switch_may_be_written_in_many_ways(name: str) -> None:
    """The usual words for true and false are accepted."""
    assert [getattr(settings.read({name.upper(): word}), name) for word in TRUE] == [True] * len(TRUE)
    assert [getattr(settings.read({name.upper(): word}), name) for word in FALSE] == [False] * len(FALSE)


@pytest.mark.parametrize("way", QUOTINGS)
def test_values_of_further_apps_are_stripped_too(way: str) -> None:
    """The values may be single variables or one JSON text."""
    nested = {name: way.format(value) for name, value in EU_APP.items()}
    inner = {name.removeprefix("DOTS_APPS__EU__").lower(): value for name, value in nested.items()}

    plain = settings.read(EU_APP)
    assert settings.read(nested) == plain
    assert settings.read({"DOTS_APPS": json.dumps({"eu": inner})}) == plain


@pytest.mark.parametrize("way", QUOTINGS)
def test_mounted_files_and_their_paths_are_stripped_too(tmp_path: Path, way: str) -> None:
    """Manifests quote paths, and editors end files with a newline."""
    for name, value in EU_APP.items():
        (tmp_path / name).write_text(way.format(value), encoding="utf-8")
    environ = {f"{name}_FILE": way.format(tmp_path / name) for name in EU_APP}

    assert settings.read(environ) == settings.read(EU_APP)
    assert settings.read({f"{name}_FILE": nothing for name in EU_APP for nothing in NOTHING}) == settings.read({})


def test_quotes_inside_a_value_stay() -> None:
    """Only one pair of equal quotes around the whole value is stripped."""
    urls = ['pass"word', '"half', "''twice''", "\"mixed'"]

    found = [settings.read({"DATABASE_URL": url}).required_database_url for url in urls]

    assert found == urls


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("LOG_LEVEL", "INFO", "info"),
        ("LOG_LEVEL", "Debug", "debug"),
        ("LOG_LEVEL", "WARN", "warning"),
        ("LOG_LEVEL", "warn", "warning"),
        ("LOG_LEVEL", "Warning", "warning"),
        ("LOG_LEVEL", "ERROR", "error"),
        ("LOG_FORMAT", "TEXT", "text"),
        ("LOG_FORMAT", "Json", "json"),
        ("DATABASE_POOLER", "Transaction", "transaction"),
    ],
)
def test_words_are_accepted_in_any_case(name: str, written: str, read: str) -> None:
    """Most programs write LOG_LEVEL=INFO."""
    assert getattr(settings.read({name: written}), name.lower()) == read


def test_unknown_dots_variables_are_found() -> None:
    """Variables of other programs and of Kubernetes are not reported."""
    environ = {
        **EU_APP,
        **{f"DOTS_APPS__EU-2__{field.upper()}": "x" for field in AppSettings.model_fields},
        "DOTS_API_URL": "x",
        "dots_client_id": "x",
        "DOTS_API_KEY_FILE": "x",
        "DOTS_APPS__EU__API_KEY_FILE": "x",
        "DOTS_APPS": "{}",
        "DOTS_PROXY_URL_FILE": "x",
        "DOTS_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "DOTS_GATEWAY_SERVICE_PORT_HTTP": "80",
        "DOTS_GATEWAY_PORT_8000_TCP_ADDR": "10.0.0.1",
        "DOTS_GATEWAY_PORT": "tcp://10.0.0.1:8000",
        "PATH": "/bin",
        "DOTS_API_KEYS": "x",
        "dots_webhook_secret": "x",
        "DOTS_SECRET_FILE": "x",
        "DOTS_APPS__EU__APIKEY": "x",
        "DOTS_APPS__EU__API_KEYS_FILE": "x",
        "DOTS_APPS__API_KEY": "x",
    }

    assert settings.unknown_names(environ) == [
        "DOTS_API_KEYS",
        "DOTS_APPS__API_KEY",
        "DOTS_APPS__EU__APIKEY",
        "DOTS_APPS__EU__API_KEYS_FILE",
        "DOTS_SECRET_FILE",
        "DOTS_WEBHOOK_SECRET",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DOTS_API_KEYS", "DOTS_API_KEY"),
        ("DOTS_WEBHOOK_SECRET", "DOTS_WEBHOOK_SECRETS"),
        ("DOTS_APPS__EU__APIKEY", "DOTS_APPS__EU__API_KEY"),
        ("DOTS_APPS__EU__WEBHOOK_SECRET", "DOTS_APPS__EU__WEBHOOK_SECRETS"),
        ("DOTS_COLOUR", None),
        ("DOTS_APPS__EU__COLOUR", None),
    ],
)
def test_a_similar_setting_is_suggested(name: str, meant: str | None) -> None:
    """A name that is not close to any setting gets no suggestion."""
    assert settings.nearest_name(name) == meant
