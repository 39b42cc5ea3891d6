"""The documentation agrees with the repository: links and paths exist, settings and planted bugs are described."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from pydantic_core import PydanticUndefined

from app.feed import events
from app.settings import AppSettings, Settings
from tests.faults.campaigns.planted_bugs import PLANTED_BUGS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "simulator/*.md", "clients/*/*.md")
    for path in ROOT.glob(pattern)
)
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
README_LINES_LIMIT = 150
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_PATH = re.compile(r"`((?:app|clients|devstack|docs|migrations|scripts|simulator|tests)/[\w./*-]*)`")
_BUG_ROW = re.compile(r"^\| ([^|]+) \| ([a-z ]+) \| I\d[I\d ]* \|$", re.MULTILINE)
_EVENT_ROW = re.compile(r"^\| `(dots\.[a-z_.]+)` \| `", re.MULTILINE)
_SETTING_ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]*?) \|", re.MULTILINE)


def place_of(page: Path) -> str:
    """A path as people write it."""
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    """The page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text_of(page)))
    return {heading.replace(" ", "-") for heading in headings}


def is_broken(page: Path, link: str) -> bool:
    """Whether a relative link points to no file of the repository, or to no heading of it."""
    path, _, anchor = link.partition("#")
    target = (page.parent / unquote(path)).resolve() if path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return True
    return bool(anchor) and anchor not in anchors_of(target)


@pytest.mark.parametrize("page", PAGES, ids=place_of)
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    """Every relative link of a page points to a file that exists, and to a heading in it if it names one."""
    links = [link for link in _LINK.findall(text_of(page)) if not re.match(r"[a-z]+:", link)]

    assert [link for link in links if is_broken(page, link)] == []


def test_readme_is_short() -> None:
    """The README says what the service is and how to begin. The rest is in `docs/`."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES_LIMIT


def test_every_page_is_linked_from_the_readme() -> None:
    """A reader who begins with the README finds every page of `docs/`."""
    linked = {unquote(link.partition("#")[0]) for link in _LINK.findall(text_of(ROOT / "README.md"))}

    assert [place_of(page) for page in (ROOT / "docs").glob("*.md") if place_of(page) not in linked] == []


def test_every_setting_is_described_with_its_default() -> None:
    """The tables of `docs/settings.md` have exactly the settings of the service, each with its default."""
    described = dict(_SETTING_ROW.findall(text_of(ROOT / "docs/settings.md")))

    assert described == {name.upper(): _default_of(name) for name in Settings.model_fields}


def test_every_setting_of_a_further_app_is_described() -> None:
    """Each setting of a further app is named."""
    page = text_of(ROOT / "docs/settings.md")

    missing = [name for name in AppSettings.model_fields if f"`DOTS_APPS__<NAME>__{name.upper()}`" not in page]
    assert missing == []


@pytest.mark.parametrize("place", ["CONTRIBUTING.md", "docs/architecture.md", *map(place_of, DECISIONS)])
def test_named_files_exist(place: str) -> None:
    """A file that a page names by its path exists."""
    named = _PATH.findall(text_of(ROOT / place))

    assert [path for path in named if "*" not in path and not (ROOT / path).exists()] == []


def test_every_event_type_is_described() -> None:
    """The first table of `docs/consume-events.md` has exactly the types of the feed, in their order."""
    described = _EVENT_ROW.findall(text_of(ROOT / "docs/consume-events.md"))

    assert described == list(events.TYPES)


def test_every_planted_bug_is_listed() -> None:
    """The table of planted bugs has exactly those that the campaigns must catch."""
    listed = _BUG_ROW.findall(text_of(ROOT / "docs/reliability.md"))

    assert sorted(listed) == sorted((bug.name, bug.campaign) for bug in PLANTED_BUGS)


def _default_of(name: str) -> str:
    """The default as the page writes it."""
    if name in {"database_url", "dots_api_url", "dots_client_id", "dots_api_key", "dots_webhook_secrets"}:
        return "required"
    default = Settings.model_fields[name].default
    assert default is not PydanticUndefined
    if default is None or default in ([], {}):
        return "not set"
    if isinstance(default, list):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)
