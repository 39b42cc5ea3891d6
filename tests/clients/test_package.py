import ast
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.clients.programs import CLIENTS

SOURCES = CLIENTS / "python/src/dots_gateway_client"


@pytest.fixture
def wheel(tmp_path: Path) -> zipfile.ZipFile:
    """What `pip install clients/python` installs."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=CLIENTS / "python",
        check=True,
        capture_output=True,
        timeout=60,
    )
    return zipfile.ZipFile(next(tmp_path.glob("*.whl")))


def test_wheel_is_whole_and_typed(wheel: zipfile.ZipFile) -> None:
    """Every module, the mark that says it is typed, and nothing of the service."""
    with wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert packed == {
        f"dots_gateway_client/{path.name}" for path in SOURCES.iterdir() if path.suffix in {".py", ".typed"}
    }
    assert "dots_gateway_client/py.typed" in packed


def test_wheel_needs_httpx_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """As the README says."""
    with wheel:
        (metadata,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
        headers = Parser().parsestr(wheel.read(metadata).decode())

    assert headers.get_all("Requires-Dist") == ["httpx<1,>=0.27"]
    assert headers["Requires-Python"] == ">=3.11"


def test_client_imports_nothing_else() -> None:
    """Neither the service nor a package it does not ask for."""
    allowed = set(sys.stdlib_module_names) | {"httpx", "dots_gateway_client"}
    imported = {
        name.split(".")[0]
        for path in SOURCES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in names_imported(node)
    }

    assert "httpx" in imported
    assert imported <= allowed


def names_imported(node: ast.AST) -> list[str]:
    """The modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []
