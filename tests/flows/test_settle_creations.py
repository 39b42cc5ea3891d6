"""Creations without an answer: found in Dots' list, or made again once it is certain that they are not there."""

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
    """A Dots that makes the flow and then loses its answer."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Carry a creation out, and cut the line."""
        answer = await super().__call__(request)
        if request.method == "POST" and self.is_cutting:
            raise httpx.ReadError("cut")
        return answer

    is_cutting: bool = True


@pytest.fixture
async def dots() -> MemoryDots:
    """The Dots of the app `default`, which loses answers."""
    return LostAnswerDots()


async def create(inputs: AllInputs, key: str | None = "key-1") -> str | None:
    """The id of the flow that is created under a key."""
    created = await creating.create(inputs, REQUEST, key=key)
    return str(created.answer["id"])


async def passes(inputs: AllInputs, clock: HandClock, *, seconds: int, number: int = 1) -> None:
    """So many rounds of a worker, each after so many seconds."""
    for _ in range(number):
        clock.advance(timedelta(seconds=seconds))
        await discover_flows(inputs)
        await settle_creations(inputs)
        await refresh_due(inputs, limit=10)


async def test_a_flow_whose_answer_was_lost_is_found(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Dots made it: it is found by our reference, and the same key gives it, without a second POST."""
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


async def test_a_creation_that_dots_never_got_is_made_again(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """Three complete listings over two minutes have not shown it: only then is the POST sent again."""
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


async def test_who_waits_for_a_flow_does_not_keep_its_app(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """A listing locks flows and then their app: who holds the app and waits for a flow would wait in a circle."""
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
    """While Dots' list cannot be read to the end, nothing is counted and nothing is sent again."""
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
    """The second POST made the flow and lost its answer too: it is found, not sent a third time."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs)

    await passes(inputs, clock, seconds=30, number=12)

    assert len(dots.posts) == 2
    assert len(dots.flows) == 1
    assert await create(inputs) == next(iter(dots.flows))


async def test_without_a_key_nothing_is_sent_again(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Nobody could come back for it, and its caller may have made another flow long ago."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create(inputs, key=None)

    await passes(inputs, clock, seconds=30, number=8)

    failed = await stored.row(inputs.engine, CREATION)
    assert len(dots.posts) == 1
    assert (failed["status"], failed["error"]["code"]) == ("failed", "creation_outcome_unknown")


async def test_a_crash_before_the_post_is_made_good(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """The process died with the intent written and nothing sent: a pass sends it."""

    class KilledError(BaseException):
        """What ends a process where it stands."""

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
    """No call left: the caller is told when to come back, and the same key is as good as new."""
    await stored.execute(inputs.engine, "INSERT INTO apps (app, tokens, tokens_at) VALUES ('default', 0, '2027-01-01')")

    with pytest.raises(DotsThrottledError) as refused:
        await create(inputs)

    assert refused.value.retry_after == timedelta(seconds=1)
    assert dots.requests == []
    assert await stored.count(inputs.engine, "flows") == 0


async def test_dots_asking_for_less_stops_creations_too(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A 429 on a creation holds everybody off until its Retry-After is over."""
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


async def test_a_flow_that_turns_up_late_is_not_made_twice(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """Dots made it only after three searches in vain; until a refresh has adopted it, nobody asks again."""
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
    """Dots wants no calls, or refuses the credentials: a creation without an outcome waits like all else."""
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
