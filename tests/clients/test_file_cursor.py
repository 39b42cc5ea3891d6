import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from dots_gateway_client import FileCursor

SOURCES = Path(__file__).parents[2] / "clients/python/src"

# Each text is one letter over and over, so that a mixture or a part of one can be told.
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
    """The names of the files in it."""
    return sorted(path.name for path in directory.iterdir())


async def test_no_file_is_no_cursor(tmp_path: Path) -> None:
    """A consumer that runs for the first time begins at the start."""
    cursors = FileCursor(tmp_path / "feed.cursor")

    assert await cursors.load() is None


async def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """The last cursor, by another object too; and nothing else is left in the directory."""
    path = tmp_path / "feed.cursor"

    for cursor in ("a longer one", "b"):
        await FileCursor(str(path)).save(cursor)

    assert await FileCursor(path).load() == "b"
    assert names_in(tmp_path) == ["feed.cursor"]


async def test_half_written_file_of_a_crash_is_no_cursor(tmp_path: Path) -> None:
    """What an earlier life left beside the file is not read, and not in the way."""
    cursors = FileCursor(tmp_path / "feed.cursor")
    await cursors.save("old")
    (tmp_path / "feed.cursor.new").write_text("hal")

    found = await cursors.load()
    await cursors.save("new")

    assert found == "old"
    assert await cursors.load() == "new"


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace"])
async def test_save_that_fails_leaves_the_old_cursor(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told to the consumer, whose place stays as it was."""
    cursors = FileCursor(tmp_path / "feed.cursor")
    await cursors.save("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(broken, fail)

    with pytest.raises(OSError, match="No space left"):
        await cursors.save("new")
    assert await cursors.load() == "old"


async def test_saved_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the new file, then its name: a power cut after `save` finds both."""
    synced: list[tuple[str, list[str]]] = []

    def note(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append((kind, names_in(tmp_path)))

    monkeypatch.setattr("os.fsync", note)

    await FileCursor(tmp_path / "feed.cursor").save("a")

    assert synced == [("file", ["feed.cursor.new"]), ("directory", ["feed.cursor"])]


@pytest.mark.parametrize("saves", [1, 20, 57])
async def test_process_killed_while_saving_leaves_a_whole_cursor(saves: int, tmp_path: Path) -> None:
    """Whenever it happens, what is found was saved, and whole."""
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
