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
    """The wheel that `pip install clients/python` builds."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=CLIENTS / "python",
        check=True,
        capture_output=True,
        timeout=60,
    )
    return zipfile.ZipFile(next(tmp_path.glob("*.whl")))


def test_wheel_has_every_module_and_requires_only_httpx(wheel: zipfile.ZipFile) -> None:
    """It has `py.typed` and no module of the service."""
    with wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
        headers = Parser().parsestr(wheel.read(metadata).decode())

    assert packed == {
        f"dots_gateway_client/{path.name}" for path in SOURCES.iterdir() if path.suffix in {".py", ".typed"}
    }
    assert "dots_gateway_client/py.typed" in packed
    assert headers.get_all("Requires-Dist") == ["httpx<1,>=0.27"]
    assert headers["Requires-Python"] == ">=3.11"


def test_client_imports_only_httpx_and_the_standard_library() -> None:
    """It does not import the service."""
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
