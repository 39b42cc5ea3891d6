import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from dots_gateway_client import FileCursor

SOURCES = Path(__file__).parents[2] / "clients/python/src"

# Each cursor repeats one letter, so that a test recognizes a partial or mixed one.
ENDLESS_SAVING = """
import asyncio, itertools, sys
from dots_gateway_client import FileCursor

async def main():
    cursors = FileCursor(sys.argv[1])
    for number in itertools.count():
        await cursors.save("abcdefgh"[number % 8] * 5000)
        print(number, flush=True)

asyncio.run(main())
"""


def names_in(directory: Path) -> list[str]:
    """The sorted names of the files in the directory."""
    return sorted(path.name for path in directory.iterdir())


async def test_last_saved_cursor_is_loaded(tmp_path: Path) -> None:
    """By another object too. Without a file there is no cursor. The directory has no other file."""
    path = tmp_path / "feed.cursor"
    before = await FileCursor(path).load()

    for cursor in ("a longer one", "b"):
        await FileCursor(str(path)).save(cursor)

    assert before is None
    assert await FileCursor(path).load() == "b"
    assert names_in(tmp_path) == ["feed.cursor"]


async def test_partial_file_of_a_crash_is_ignored(tmp_path: Path) -> None:
    """It is not read, and the next save replaces it."""
    cursors = FileCursor(tmp_path / "feed.cursor")
    await cursors.save("old")
    (tmp_path / "feed.cursor.new").write_text("hal")

    found = await cursors.load()
    await cursors.save("new")

    assert found == "old"
    assert await cursors.load() == "new"


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace"])
async def test_failed_save_keeps_the_old_cursor(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The consumer gets the error of a full disk."""
    cursors = FileCursor(tmp_path / "feed.cursor")
    await cursors.save("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(broken, fail)

    with pytest.raises(OSError, match="No space left"):
        await cursors.save("new")
    assert await cursors.load() == "old"


async def test_saved_cursor_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`save` syncs the new file before the rename and the directory after it."""
    synced: list[tuple[str, list[str]]] = []

    def note(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append((kind, names_in(tmp_path)))

    monkeypatch.setattr("os.fsync", note)

    await FileCursor(tmp_path / "feed.cursor").save("a")

    assert synced == [("file", ["feed.cursor.new"]), ("directory", ["feed.cursor"])]


@pytest.mark.parametrize("saves", [1, 20])
async def test_process_killed_while_saving_leaves_a_complete_cursor(saves: int, tmp_path: Path) -> None:
    """The file has one of the saved cursors."""
    path = tmp_path / "feed.cursor"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ENDLESS_SAVING, path),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        for _ in range(saves):
            await process.stdout.readline()
        process.kill()
        await process.communicate()

    found = await FileCursor(path).load() or ""

    assert (len(found), len(set(found))) == (5000, 1)
