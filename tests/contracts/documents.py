"""The contracts as files: those in `docs/`, and the released ones that later versions are held against.

python -m tests.contracts.documents             write docs/ as the service makes it now
python -m tests.contracts.documents --release   and promise it: from now on nothing of it may be taken away
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from app import settings
from app.feed import event_schemas
from app.processes import api, wiring
from app.server import asyncapi
from app.server.application import create_app

DOCS = Path(__file__).parents[2] / "docs"
RELEASED = Path(__file__).parent / "released"

# Nothing of it is ever connected to.
_ENVIRONMENT = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
    "DOTS_API_URL": "http://127.0.0.1:9/api",
    "DOTS_CLIENT_ID": "pk_dev_documents",
    "DOTS_API_KEY": "sk_dev_documents",
    "DOTS_WEBHOOK_SECRETS": "whsec_ZG9jdW1lbnRzIGFyZSBtYWRlIHdpdGhvdXQgaXQ=",
}

Documents = Mapping[str, Mapping[str, Any]]


@asynccontextmanager
async def service() -> AsyncIterator[FastAPI]:
    """The application as the api process builds it, which serves what needs neither database nor Dots."""
    known = settings.read(_ENVIRONMENT)
    async with wiring.open_tools(known) as tools:
        yield create_app(api.build_gateway(tools, known))


async def made() -> Documents:
    """Every document of now, by its path below `docs`."""
    async with service() as app:
        documents = {"openapi.json": app.openapi(), "asyncapi.json": asyncapi.document(version=app.version)}
    return {**documents, **{f"events/{name}": schema for name, schema in event_schemas.published().items()}}


def text(document: Mapping[str, Any]) -> str:
    """A document as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def files(folder: Path) -> Documents:
    """Every document in a folder, by its path below it."""
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"))
    }


def write(folder: Path, documents: Documents) -> None:
    """Make the JSON files of a folder these, and no others."""
    for path in folder.rglob("*.json"):
        path.unlink()
    for name, document in documents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text(document), encoding="utf-8")


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description="Write the contracts in docs/ as the service makes them now.")
    parser.add_argument("--release", action="store_true", help="and hold later versions against them")
    options = parser.parse_args()
    documents = asyncio.run(made())
    write(DOCS, documents)
    if options.release:
        # AsyncAPI says nothing that the schemas of events do not.
        write(RELEASED, {name: document for name, document in documents.items() if name != "asyncapi.json"})


if __name__ == "__main__":
    main()
