"""What was released is a promise: later versions add to it, or are a new version."""

import pytest

from tests.contracts import documents
from tests.contracts.documents import RELEASED, Documents
from tests.contracts.openapi_changes import OpenapiComparison
from tests.contracts.schema_changes import Comparison

OPENAPI = "openapi.json"
EVENT_ADVICE = "Leave it as it was, and publish what is new as the next version beside it."
OPENAPI_ADVICE = (
    "Keep what callers rely on, or give the API a new version (`version` in app/server/application.py) and release it: "
    "`python -m tests.contracts.documents --release`."
)


def losses(released: Documents, now: Documents) -> list[str]:
    """What later consumers and callers miss of what was released, with advice."""
    found = []
    for name, schema in released.items():
        if name.startswith("events/") and name not in now:
            found.append(f"{name} is gone, and events that name it are still kept. {EVENT_ADVICE}")
        elif name.startswith("events/"):
            comparison = Comparison(old=schema, new=now[name], direction="sent")
            found += [f"{name}: {loss}. {EVENT_ADVICE}" for loss in comparison.losses(schema, now[name], "data")]
    if released[OPENAPI]["info"]["version"] == now[OPENAPI]["info"]["version"]:
        callers = OpenapiComparison(old=released[OPENAPI], new=now[OPENAPI])
        found += [f"{loss}. {OPENAPI_ADVICE}" for loss in callers.losses()]
    return found


@pytest.fixture
async def now() -> Documents:
    """The documents of now."""
    return await documents.made()


@pytest.fixture
def released() -> Documents:
    """The documents of the last release."""
    return documents.files(RELEASED)


async def test_nothing_released_is_taken_away(released: Documents, now: Documents) -> None:
    """Whoever was built against the last release still works."""
    assert losses(released, now) == []


async def test_there_is_something_to_hold_it_against(released: Documents) -> None:
    """The promise covers the interface and every event."""
    assert len(released[OPENAPI]["paths"]) >= 25
    assert len([name for name in released if name.startswith("events/")]) >= 8


async def test_event_that_loses_a_property_is_told(released: Documents) -> None:
    """With what to do."""
    name = "events/flow.completed/v1.json"
    schema = {**released[name], "properties": {}}

    found = losses(released, {**released, name: schema})

    assert found[0] == f"{name}: data.flow_id is gone. {EVENT_ADVICE}"


async def test_event_schema_that_is_taken_away_is_told(released: Documents) -> None:
    """Also when a newer version is there: events of the old one are still in the feed."""
    name = "events/flow.completed/v1.json"
    now = {path: schema for path, schema in released.items() if path != name}

    found = losses(released, now)

    assert found == [f"{name} is gone, and events that name it are still kept. {EVENT_ADVICE}"]


async def test_next_version_of_an_event_passes(released: Documents) -> None:
    """Beside the one before."""
    assert losses(released, {**released, "events/flow.completed/v2.json": {}}) == []


async def test_path_that_is_taken_away_is_told_unless_the_version_is_new(released: Documents) -> None:
    """A version step is how an incompatible change is made on purpose."""
    paths = {path: methods for path, methods in released[OPENAPI]["paths"].items() if path != "/livez"}
    without = {**released[OPENAPI], "paths": paths}
    stepped = {**without, "info": {**without["info"], "version": "2"}}

    assert losses(released, {**released, OPENAPI: without}) == [f"GET /livez is gone. {OPENAPI_ADVICE}"]
    assert losses(released, {**released, OPENAPI: stepped}) == []
