"""Reads libpq's parameter `options`: server settings, written as on the server's command line.

Source: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-OPTIONS, read 2026-11-27.
"""

import re

from app.errors import SettingsError

_NAME = re.compile(r"[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*")
_ITEM = re.compile(r"(?:\\.|[^\\\s])+")

# The service sets these itself, because its promises depend on them.
_OURS = {
    "search_path": "set DATABASE_SCHEMA instead",
    "application_name": "use the parameter application_name",
    "client_encoding": "it is always UTF8",
    "timezone": "it is always UTC",
    "session_authorization": "connect as that user",
}
_OURS_PREFIXES = ("default_transaction_", "transaction_")


def read(options: str) -> dict[str, str]:
    """The settings by their lower-case names. Raises SettingsError, which never quotes a value."""
    words = [re.sub(r"\\(.)", r"\1", word) for word in _ITEM.findall(options)]
    found: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = f"-c{words.pop(0)}"
        if not word.startswith(("-c", "--")):
            raise SettingsError("DATABASE_URL: options may hold only -c name=value and --name=value.")
        name, has_value, value = word[2:].partition("=")
        name = name.replace("-", "_").lower()
        if not has_value or not _NAME.fullmatch(name):
            raise SettingsError("DATABASE_URL: options may hold only -c name=value and --name=value.")
        _check(name, is_repeated=name in found)
        found[name] = value
    return found


def _check(name: str, *, is_repeated: bool) -> None:
    if is_repeated:
        raise SettingsError(f"DATABASE_URL: options sets {name} twice.")
    if name in _OURS:
        raise SettingsError(f"DATABASE_URL: options may not set {name}; {_OURS[name]}.")
    if name.startswith(_OURS_PREFIXES):
        raise SettingsError(f"DATABASE_URL: options may not set {name}; the service decides it for each transaction.")
