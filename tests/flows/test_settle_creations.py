"""Creations without an answer: found in Dots' list, or repeated once the list shows that Dots has no flow."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from app.errors import CreationOutcomeUnknownError, CreationRunningError, DotsError, DotsThrottledError
from app.flows.discover_flows import discover_flows
from app.flows.refresh_due import refresh_due
from app.flows.rules.flow_request import FlowRequest
from app.flows.settle_creations import settle_creations
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import MemoryDots, refusal
from tests.flows import creating
from tests.storage import stored
from tests.storage.locks import until_waiting

REQUEST = FlowRequest(app="default", steps=["compliance"], reference="payee-17")
CREATION = "SELECT status, searches, id IS NOT NULL AS is_made, error FROM flows"


class LostAnswerDots(MemoryDots):
    """A Dots that creates the flow and loses the answer."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Carry out a creation, and cut the connection."""
        answer = await super().__call__(request)
        if request.method == "POST" and self.is_cutting:
            raise httpx.ReadError("cut")
        return answer

    is_cutting: bool = True


@pytest.fixture
async def dots() -> MemoryDots:
    """Return the Dots of the app `default`, which loses answers."""
    return LostAnswerDots()


async def create(inputs: AllInputs, key: str | None = "key-1") -> str | None:
    """Create a flow with a key, and return its id."""
    created = await creating.create(inputs, REQUEST, key=key)
    return str(created.answer["id"])


async def passes(inputs: AllInputs, clock: HandClock, *, seconds: int, number: int = 1) -> None:
    """Run a worker's passes this many times, each after this many seconds."""
    for _ in range(number):
        clock.advance(timedelta(seconds=seconds))
        await discover_flows(inputs)
        await settle_creations(inputs)
        await refresh_due(inputs, limit=10)


async def test_a_flow_whose_answer_was_lost_is_found(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """The listing finds it by our reference, and a repeat with the key returns it without a second POST."""
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs)
    with pytest.raises(CreationRunningError):
        await create(inputs)

    await passes(inputs, clock, seconds=16)

    (made,) = dots.flows
    assert await create(inputs) == made
    assert len(dots.posts) == 1
    assert await stored.count(inputs.engine, "flows") == 1
    assert await stored.count(inputs.engine, "events") == 1


async def test_a_creation_that_dots_never_got_is_repeated(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """The POST is sent again after three complete listings over two minutes did not contain the flow."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs)

    await passes(inputs, clock, seconds=30, number=4)
    posts_before = len(dots.posts)
    dots.is_cutting = False  # type: ignore[attr-defined]  # of LostAnswerDots
    await passes(inputs, clock, seconds=30)

    assert posts_before == 1
    assert len(dots.posts) == 2
    assert dots.posts[0]["metadata"] == dots.posts[1]["metadata"]
    assert await stored.row(inputs.engine, CREATION) == {
        "status": "open",
        "searches": 0,
        "is_made": True,
        "error": None,
    }
    assert await create(inputs) == next(iter(dots.flows))


async def test_settling_does_not_lock_the_app_while_it_waits_for_a_flow(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """A listing locks flows before their app, so the other order would deadlock."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs)
    await passes(inputs, clock, seconds=30, number=4)
    clock.advance(timedelta(seconds=30))

    async with inputs.engine.connect() as listing:
        await listing.execute(text("SELECT FROM flows FOR UPDATE"))
        settling = asyncio.create_task(settle_creations(inputs))
        await until_waiting(inputs.engine)
        await listing.execute(text("SELECT FROM apps FOR UPDATE"))
        await listing.commit()
        await settling

    assert len(dots.posts) == 2


async def test_an_incomplete_listing_proves_nothing(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A listing that fails does not count, and the POST is not sent again."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs)
    dots.fault = refusal(500, "service-unavailable")

    await passes(inputs, clock, seconds=60, number=10)

    assert len(dots.posts) == 1
    assert (await stored.row(inputs.engine, CREATION))["searches"] == 0


async def test_a_second_try_without_an_answer_is_searched_for_again(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """If the second POST also loses its answer, the listing finds the flow, and there is no third POST."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs)

    await passes(inputs, clock, seconds=30, number=12)

    assert len(dots.posts) == 2
    assert len(dots.flows) == 1
    assert await create(inputs) == next(iter(dots.flows))


async def test_without_a_key_nothing_is_sent_again(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """The creation fails, because its caller cannot repeat it and may have created another flow."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs, key=None)

    await passes(inputs, clock, seconds=30, number=8)

    failed = await stored.row(inputs.engine, CREATION)
    assert len(dots.posts) == 1
    assert (failed["status"], failed["error"]["code"]) == ("failed", "creation_outcome_unknown")


async def test_a_creation_is_sent_after_a_crash_before_the_post(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """If a process dies after it has written the intent, a later pass sends the POST."""

    class KilledError(BaseException):
        """Simulates the death of the process."""

    dots.is_cutting = False  # type: ignore[attr-defined]  # of LostAnswerDots

    async def die() -> None:
        raise KilledError

    dots.on_request = die
    with pytest.raises(KilledError):
        await create(inputs)
    dots.on_request = None
    dots.requests.clear()

    await passes(inputs, clock, seconds=30, number=5)

    assert len(dots.posts) == 1
    assert await create(inputs) == next(iter(dots.flows))


async def test_a_spent_budget_refuses_a_creation_without_a_trace(inputs: AllInputs, dots: MemoryDots) -> None:
    """The caller learns how long to wait, and no row is left."""
    await stored.execute(inputs.engine, "INSERT INTO apps (app, tokens, tokens_at) VALUES ('default', 0, '2027-01-01')")

    with pytest.raises(DotsThrottledError) as refused:
        await create(inputs)

    assert refused.value.retry_after == timedelta(seconds=1)
    assert dots.requests == []
    assert await stored.count(inputs.engine, "flows") == 0


async def test_throttling_stops_creations_too(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """After a 429, no creation is sent until the Retry-After ends."""
    dots.is_cutting = False  # type: ignore[attr-defined]  # of LostAnswerDots
    dots.faults = [refusal(429, "resource-busy", headers={"Retry-After": "20"})]
    with pytest.raises(DotsThrottledError):
        await create(inputs, "key-1")

    with pytest.raises(DotsThrottledError) as held:
        await create(inputs, "key-2")
    clock.advance(timedelta(seconds=21))
    made = await create(inputs, "key-1")

    assert held.value.retry_after == timedelta(seconds=20)
    assert [made] == list(dots.flows)


async def test_a_flow_that_appears_late_is_not_created_twice(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """If the list shows the flow after three searches without it, the POST is not sent again."""
    dots.faults = [httpx.ReadTimeout("slow")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs)
    for _ in range(3):
        clock.advance(timedelta(seconds=30))
        await discover_flows(inputs)
    dots.add_flow(1, metadata=dots.posts[0]["metadata"])

    clock.advance(timedelta(seconds=31))
    await discover_flows(inputs)
    await settle_creations(inputs)
    await refresh_due(inputs, limit=10)

    assert len(dots.posts) == 1
    assert await create(inputs) == next(iter(dots.flows))


@pytest.mark.parametrize(
    "fault", [refusal(429, "slow-down", headers={"Retry-After": "3600"}), refusal(401, "unauthorized")], ids=str
)
async def test_nothing_is_sent_again_during_a_pause(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, fault: httpx.Response
) -> None:
    """Creations with an unknown outcome wait for the end of the pause."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs)
    await passes(inputs, clock, seconds=30, number=4)
    dots.is_cutting = False  # type: ignore[attr-defined]  # of LostAnswerDots
    dots.fault = fault
    with pytest.raises(DotsError):
        await create(inputs, "key-2")
    dots.fault = None
    before = len(dots.requests)

    for _ in range(10):
        clock.advance(timedelta(seconds=5))
        await settle_creations(inputs)

    assert len(dots.requests) == before
