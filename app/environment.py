"""Cleans the environment variables that settings come from, and reads mounted files in place of values."""

import re
from collections.abc import Mapping
from pathlib import Path

from app.errors import SettingsError

# These settings, and all that begin with DOTS_, may be mounted as a file.
_SECRETS = frozenset({"DATABASE_URL", "ENCRYPTION_KEYS", "EVENT_BROKER_URL"})
_FILE = "_FILE"

# Kubernetes gives every container variables about every service. Their names begin with the service's name.
_OF_KUBERNETES = re.compile(r".+_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")


def read(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by their upper-case names, with each `NAME_FILE` read into `NAME`.

    A variable that is empty after cleaning counts as not set. Raises SettingsError for a file that cannot be read, and
    for a value that is given both ways.
    """
    cleaned = {name.upper(): clean(value) for name, value in environ.items()}
    given = {name: value for name, value in cleaned.items() if value}
    found = {name: value for name, value in given.items() if not is_file_setting(name)}
    for name in given.keys() - found.keys():
        target = name.removesuffix(_FILE)
        if target in found:
            raise SettingsError(f"Set either {target} or {name}, not both.")
        try:
            found[target] = clean(Path(given[name]).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise SettingsError(f"{name} does not name a file that can be read.") from None
    return {name: value for name, value in found.items() if value}


def clean(text: str) -> str:
    """Strip white space and one pair of quotes, which env files and manifests add around values."""
    stripped = text.strip()
    quote = stripped[:1]
    if quote in {"'", '"'} and stripped.endswith(quote) and stripped.count(quote) == 2:  # noqa: PLR2004  # a pair
        return stripped[1:-1].strip()
    return stripped


def is_file_setting(name: str) -> bool:
    """Whether the variable of this upper-case name holds the path of a file with the value."""
    return name.endswith(_FILE) and (name.startswith("DOTS_") or name.removesuffix(_FILE) in _SECRETS)


def own_names(environ: Mapping[str, str], prefix: str) -> list[str]:
    """Return the upper-case names that begin with the prefix, sorted. Leaves out those that Kubernetes adds."""
    names = {name.upper() for name in environ}
    return sorted(name for name in names if name.startswith(prefix) and not _OF_KUBERNETES.fullmatch(name))
