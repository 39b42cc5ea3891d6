"""The addresses of a campaign's processes, in a file for the checker."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_NAME = "addresses.json"


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Addresses and the gateway's API key. `broker_url` is None if there is no broker."""

    database_url: str
    api_urls: list[str]
    simulator_url: str
    key: str
    broker_url: str | None = None


def write(directory: Path, addresses: Addresses) -> None:
    """Write them into the campaign's directory."""
    (directory / FILE_NAME).write_text(json.dumps(asdict(addresses)))


def read(directory: Path) -> Addresses:
    """Read what `write` wrote."""
    return Addresses(**json.loads((directory / FILE_NAME).read_text()))
