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
    """Without compliance:read, verdicts are missing from the feed, and no audit row is written."""
    answer = await client.get("/v1/events")

    assert [event["type"] for event in answer.json()["events"]] == ["dots.flow.step_completed"] * 2
    assert "background_check" not in answer.text
    assert await stored.count(engine, "compliance_reads") == 0


@pytest.mark.usefixtures("fed")
async def test_hidden_events_do_not_shorten_a_page(client: httpx.AsyncClient) -> None:
    """A page skips hidden events, and its cursor moves past them."""
    first = await client.get("/v1/events", params={"limit": 1})
    second = await client.get("/v1/events", params={"limit": 1, "after": first.json()["next_cursor"]})

    assert [event["data"]["step"] for event in second.json()["events"]] == ["step-2"]


@pytest.mark.usefixtures("fed")
async def test_entitled_reader_sees_verdicts_and_is_audited(
    stranger: httpx.AsyncClient, key_with: KeyWith, engine: AsyncEngine
) -> None:
    """The audit row names the reader and the verdicts shown. A page without verdicts leaves no row."""
    entitled = await key_with("events:read", "compliance:read", name="officer")

    await stranger.get("/v1/events", params={"types": "dots.flow.*"}, headers=entitled)
    rows_without_verdicts = await stored.count(engine, "compliance_reads")
    answer = await stranger.get("/v1/events", headers=entitled)

    assert rows_without_verdicts == 0
    assert [event["type"] for event in answer.json()["events"]] == [
        "dots.flow.step_completed",
        "dots.background_check.cleared",
        "dots.background_check.flagged",
        "dots.background_check.needs_review",
        "dots.flow.step_completed",
    ]
    audit_row = await stored.row(engine, "SELECT caller, what FROM compliance_reads")
    assert audit_row == {"caller": "officer", "what": " ".join(str(event.id) for event in VERDICTS)}


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
    """An empty page would look as if there were no verdicts."""
    answer = await client.get(path, params={"types": types})

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert "compliance:read" in answer.json()["detail"]


async def test_error_about_types_lists_only_visible_types(client: httpx.AsyncClient) -> None:
    """The error lists only the types that this key may see."""
    answer = await client.get("/v1/events", params={"types": "nonsense"})

    assert "dots.flow.created" in answer.text
    assert "background_check" not in answer.text


@pytest.mark.usefixtures("fed")
async def test_no_verdict_is_shown_if_the_audit_fails(
    stranger: httpx.AsyncClient, key_with: KeyWith, engine: AsyncEngine
) -> None:
    """The audit row is committed before the answer is sent."""
    entitled = await key_with("events:read", "compliance:read")
    await stored.execute(engine, "DROP TABLE compliance_reads")

    answer = await stranger.get("/v1/events", headers=entitled)

    assert answer.status_code >= 500
    assert "flagged" not in answer.text
