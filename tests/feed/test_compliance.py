import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows.rules.verdict import Verdict
from tests.feed import feeding
from tests.feed.feeding import review_event, step_events, verdict_events
from tests.storage import stored
from tests.surroundings import KeyWith

VERDICTS = [*verdict_events(Verdict.CLEARED, Verdict.FLAGGED), review_event()]


@pytest.fixture
async def fed(engine: AsyncEngine) -> None:
    """A feed of a step, two verdicts, a check that needs review, and another step."""
    await feeding.feed(engine, step_events(1))
    await feeding.feed(engine, VERDICTS)
    await feeding.feed(engine, step_events(2)[1:], after_sequence=1)


@pytest.mark.usefixtures("fed")
async def test_ordinary_reader_sees_no_verdict(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Without compliance:read the feed goes on as if there were none; nothing read, nothing in the trail."""
    answer = await client.get("/v1/events")

    assert [event["type"] for event in answer.json()["events"]] == ["dots.flow.step_completed"] * 2
    assert "background_check" not in answer.text
    assert await stored.count(engine, "compliance_reads") == 0


@pytest.mark.usefixtures("fed")
async def test_ordinary_readers_page_ends_as_full_as_others(client: httpx.AsyncClient) -> None:
    """What is hidden does not shorten a page, and the cursor moves past it."""
    first = await client.get("/v1/events", params={"limit": 1})
    second = await client.get("/v1/events", params={"limit": 1, "after": first.json()["next_cursor"]})

    assert [event["data"]["step"] for event in second.json()["events"]] == ["step-2"]


@pytest.mark.usefixtures("fed")
async def test_entitled_reader_sees_verdicts_and_leaves_a_trail(
    stranger: httpx.AsyncClient, key_with: KeyWith, engine: AsyncEngine
) -> None:
    """The ids of the verdicts shown are kept with who was shown them."""
    entitled = await key_with("events:read", "compliance:read", name="officer")

    answer = await stranger.get("/v1/events", headers=entitled)

    assert [event["type"] for event in answer.json()["events"]] == [
        "dots.flow.step_completed",
        "dots.background_check.cleared",
        "dots.background_check.flagged",
        "dots.background_check.needs_review",
        "dots.flow.step_completed",
    ]
    trail = await stored.row(engine, "SELECT caller, what FROM compliance_reads")
    assert trail == {"caller": "officer", "what": " ".join(str(event.id) for event in VERDICTS)}


@pytest.mark.usefixtures("fed")
async def test_page_without_verdicts_leaves_no_trail(
    stranger: httpx.AsyncClient, key_with: KeyWith, engine: AsyncEngine
) -> None:
    """The trail is of what was shown, not of what might have been."""
    entitled = await key_with("events:read", "compliance:read")

    await stranger.get("/v1/events", params={"types": "dots.flow.*"}, headers=entitled)

    assert await stored.count(engine, "compliance_reads") == 0


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream"])
@pytest.mark.parametrize(
    "types",
    [
        "dots.background_check.flagged",
        "dots.background_check.cleared",
        "dots.background_check.needs_review",
        "dots.background_check.*",
        "dots.flow.created,dots.background_check.flagged",
    ],
)
async def test_asking_for_verdicts_by_name_is_403(client: httpx.AsyncClient, path: str, types: str) -> None:
    """Silence would look like "nothing found"."""
    answer = await client.get(path, params={"types": types})

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert "compliance:read" in answer.json()["detail"]


async def test_complaint_about_types_names_no_hidden_ones(client: httpx.AsyncClient) -> None:
    """The list of types that there are is the list that this key may see."""
    answer = await client.get("/v1/events", params={"types": "nonsense"})

    assert "dots.flow.created" in answer.text
    assert "background_check" not in answer.text


@pytest.mark.usefixtures("fed")
async def test_trail_that_cannot_be_left_means_nothing_is_shown(
    stranger: httpx.AsyncClient, key_with: KeyWith, engine: AsyncEngine
) -> None:
    """The row is there before the answer is."""
    entitled = await key_with("events:read", "compliance:read")
    await stored.execute(engine, "DROP TABLE compliance_reads")

    answer = await stranger.get("/v1/events", headers=entitled)

    assert answer.status_code >= 500
    assert "flagged" not in answer.text
