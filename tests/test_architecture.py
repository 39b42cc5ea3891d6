"""What the linters cannot say of the whole tree: sizes, names, and what never stands in a committed file."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINES_LIMIT = 300
# Names that say nothing about what is in a file, so that anything ends up in it.
EMPTY_NAMES = {"utils", "util", "helpers", "common", "core", "base", "manager", "service", "models", "misc"}
FOLDERS = ("app", "devstack", "simulator", "migrations", "tests", "bench", "clients/python/src")


def sources(*folders: str) -> Iterator[Path]:
    """Every Python file of these rooms."""
    for folder in folders or FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def place_of(path: Path) -> str:
    """A path as people write it."""
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_one_can_read() -> None:
    """Look hard at 200 lines, split by 300."""
    lengths = {place_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}

    assert len(lengths) > 100
    assert {place: length for place, length in lengths.items() if length > LINES_LIMIT} == {}


def test_no_file_has_an_empty_name() -> None:
    """A file is called after what is in it."""
    named = [place_of(path) for path in sources() if path.stem.removeprefix("test_") in EMPTY_NAMES]

    assert named == []


def test_every_module_of_the_service_says_what_lives_in_it() -> None:
    """One sentence at the top of each."""
    silent = [place_of(path) for path in sources("app", "devstack", "simulator") if not ast.get_docstring(_tree(path))]

    assert silent == []


def test_nothing_is_imported_inside_a_function() -> None:
    """What a module needs stands at its top."""
    hidden = [
        f"{place_of(path)}:{inner.lineno}"
        for path in sources("app", "devstack", "simulator")
        for function in ast.walk(_tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]

    assert hidden == []


def test_rooms_are_handed_clock_chance_and_settings() -> None:
    """Only the commands and what they are assembled by read them; a client's own clock has a default."""
    readings = re.compile(
        r"os\.environ|os\.getenv|datetime\.now\(|datetime\.utcnow|time\.time\(|random\.random|uuid4\("
    )
    found = {
        place_of(path)
        for path in sources("app")
        if path.parts[-2] not in {"processes", "commands"} and readings.search(path.read_text(encoding="utf-8"))
    }

    assert found == {"app/dots/client.py"}


def test_rules_do_no_input_or_output() -> None:
    """The rules are plain Python: nothing of the outside is even imported there."""
    allowed = {"app", "base64", "binascii", "collections", "dataclasses", "datetime", "difflib", "enum", "hashlib"}
    allowed |= {"email", "ipaddress", "json", "re", "struct", "typing", "unicodedata", "urllib", "uuid"}
    rules = sources("app/flows/rules", "app/subscriptions/rules")
    imported = {name.split(".")[0] for path in rules for node in ast.walk(_tree(path)) for name in _imports(node)}

    assert imported - allowed == set()


def test_wire_words_of_dots_stay_in_their_room() -> None:
    """What Dots calls things on the wire is known in one room only, so that a change of theirs is one of few files."""
    words = re.compile(r"Api-App-Id|Dots-User-IP|background_check\.get|svix-id")
    found = {
        path.relative_to(ROOT / "app").parts[0]
        for path in sources("app")
        if words.search(path.read_text(encoding="utf-8"))
    }

    assert found == {"dots"}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []
