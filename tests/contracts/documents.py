"""The contracts in `docs/`: OpenAPI, AsyncAPI and the JSON Schemas of events, generated from the code.

`python -m tests.contracts.documents` writes them and prints the line that CHANGELOG.md needs.
"""

import asyncio
import hashlib
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

# The documents need no connection to any of these.
_ENVIRONMENT = {
    "DATABASE_URL": "postgresql://user@127.0.0.1:9/database",
    "DOTS_API_URL": "http://127.0.0.1:9/api",
    "DOTS_CLIENT_ID": "pk_dev_documents",
    "DOTS_API_KEY": "sk_dev_documents",
    "DOTS_WEBHOOK_SECRETS": "whsec_ZG9jdW1lbnRzIGFyZSBtYWRlIHdpdGhvdXQgaXQ=",
}

_WORDS = frozenset({"description", "summary", "title", "example", "examples"})

Documents = Mapping[str, Mapping[str, Any]]


@asynccontextmanager
async def service() -> AsyncIterator[FastAPI]:
    """The application as the api process builds it. Routes that need the database or Dots do not work."""
    known = settings.read(_ENVIRONMENT)
    async with wiring.open_inputs(known) as inputs:
        yield create_app(api.build_gateway(inputs, known))


async def made() -> Documents:
    """Generate every document. The keys are paths below `docs`."""
    async with service() as app:
        documents = {"openapi.json": app.openapi(), "asyncapi.json": asyncapi.document(version=app.version)}
    return {**documents, **{f"events/{name}": schema for name, schema in event_schemas.published().items()}}


def text(document: Mapping[str, Any]) -> str:
    """The text of a document's file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def files(folder: Path) -> Documents:
    """Read every document in a folder. The keys are paths below the folder."""
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"))
    }


def openapi() -> Mapping[str, Any]:
    """The OpenAPI document in `docs/`."""
    return files(DOCS)["openapi.json"]


def write(folder: Path, documents: Documents) -> None:
    """Write the documents and delete every other JSON file in the folder."""
    for path in folder.rglob("*.json"):
        path.unlink()
    for name, document in documents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text(document), encoding="utf-8")


def version(documents: Documents) -> str:
    """The version that all documents share."""
    return str(documents["openapi.json"]["info"]["version"])


def digest(documents: Documents) -> str:
    """Eight characters that change with the contracts, but not with their version, wording or examples."""
    rules = _without_words({name: {**document, "info": {}} for name, document in documents.items()})
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:8]


def changelog_entry(documents: Documents) -> str:
    """How the line about these documents in CHANGELOG.md begins."""
    return f"- Contracts {version(documents)} (`{digest(documents)}`):"


def _without_words(node: Any, *, has_names: bool = False) -> Any:
    """Drop the texts for people. The keys of `properties` are names of fields: keep a field called `description`."""
    if isinstance(node, list):
        return [_without_words(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_words(value, has_names=key == "properties")
        for key, value in node.items()
        if has_names or key not in _WORDS
    }


def main() -> None:
    """Write the documents."""
    documents = asyncio.run(made())
    write(DOCS, documents)
    print(f"CHANGELOG.md needs a line that begins with: {changelog_entry(documents)}")  # noqa: T201  # a command


if __name__ == "__main__":
    main()
