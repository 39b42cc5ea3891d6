"""Rules for the whole tree that the linters cannot check."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINES_LIMIT = 300
# These names do not say what is in a file.
EMPTY_NAMES = {"utils", "util", "helpers", "common", "core", "base", "manager", "service", "models", "misc"}
FOLDERS = ("app", "devstack", "simulator", "migrations", "tests", "bench", "clients/python/src")


def sources(*folders: str) -> Iterator[Path]:
    """Yield every Python file of these folders."""
    for folder in folders or FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    """Return the path from the project's root."""
    return str(path.relative_to(ROOT))


def test_no_file_is_too_long() -> None:
    """A file has at most 300 lines."""
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}

    assert len(lengths) > 100
    assert {path: length for path, length in lengths.items() if length > LINES_LIMIT} == {}


def test_no_file_has_an_empty_name() -> None:
    """A file's name says what is in it."""
    named = [relative(path) for path in sources() if path.stem.removeprefix("test_") in EMPTY_NAMES]

    assert named == []


def test_every_module_has_a_docstring() -> None:
    """The docstring says what lives in the module."""
    silent = [relative(path) for path in sources("app", "devstack", "simulator") if not ast.get_docstring(_tree(path))]

    assert silent == []


def test_functions_import_nothing() -> None:
    """All imports are at the top of a module."""
    hidden = [
        f"{relative(path)}:{inner.lineno}"
        for path in sources("app", "devstack", "simulator")
        for function in ast.walk(_tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]

    assert hidden == []


def test_subjects_get_clock_randomness_and_settings_as_arguments() -> None:
    """Only commands and processes read them. The Dots client has a default clock."""
    readings = re.compile(
        r"os\.environ|os\.getenv|datetime\.now\(|datetime\.utcnow|time\.time\(|random\.random|uuid4\("
    )
    found = {
        relative(path)
        for path in sources("app")
        if path.parts[-2] not in {"processes", "commands"} and readings.search(path.read_text(encoding="utf-8"))
    }

    assert found == {"app/dots/client.py"}


def test_rules_do_no_input_or_output() -> None:
    """The rules import only modules that do no I/O."""
    allowed = {"app", "base64", "binascii", "collections", "dataclasses", "datetime", "difflib", "enum", "hashlib"}
    allowed |= {"email", "ipaddress", "json", "re", "struct", "typing", "unicodedata", "urllib", "uuid"}
    rules = sources("app/flows/rules", "app/subscriptions/rules")
    imported = {name.split(".")[0] for path in rules for node in ast.walk(_tree(path)) for name in _imports(node)}

    assert imported - allowed == set()


def test_only_the_dots_folder_knows_the_wire_format() -> None:
    """If Dots changes its wire format, one folder changes."""
    words = re.compile(r"Api-App-Id|Dots-User-IP|background_check\.get|svix-id")
    found = {
        path.relative_to(ROOT / "app").parts[0]
        for path in sources("app")
        if words.search(path.read_text(encoding="utf-8"))
    }

    assert found == {"dots"}


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []
