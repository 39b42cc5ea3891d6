"""Put events into the feed."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import event_rows
from app.feed.event_rows import FeedState
from app.feed.events import Event
from app.flows.rules import events
from app.flows.rules.events import FlowFacts, UserFacts
from app.flows.rules.verdict import Verdict
from app.storage import database
from tests.dots.fake_dots import NOW, USER


def step_events(number: int, *, flow_id: str = "flow-1", at: datetime = NOW) -> list[Event]:
    """Events of the completed steps `step-1`, `step-2` and so on of one flow."""
    facts = FlowFacts(app="default", flow_id=flow_id, reference="payee-17", user_id=None)
    return [events.step_completed(facts, at, step=f"step-{index + 1}") for index in range(number)]


def verdict_events(*verdicts: Verdict, user_id: str = USER, at: datetime = NOW) -> list[Event]:
    """Verdicts of one user, each a reversal of the one before."""
    user = UserFacts(app="default", user_id=user_id)
    return [
        events.verdict_settled(user, at, verdict=verdict, previous=None, settlement=index + 1)
        for index, verdict in enumerate(verdicts)
    ]


def review_event(check_status: str = "consider", *, user_id: str = USER, at: datetime = NOW) -> Event:
    """A check of this user needs review."""
    user = UserFacts(app="default", user_id=user_id)
    return events.review_needed(user, at, check_status=check_status, previous=None)


async def append(engine: AsyncEngine, fresh: Sequence[Event], *, after_sequence: int = 0) -> None:
    """Append events of one subject, without positions."""
    async with database.transaction(engine) as connection:
        await event_rows.append(connection, fresh, after_sequence=after_sequence)


async def stamp(engine: AsyncEngine, *, limit: int = 100_000, floor: int = 0) -> int:
    """Number every event. Returns how many were numbered."""
    async with database.transaction(engine) as connection:
        stamped = await event_rows.stamp(connection, limit=limit, floor=floor)
    return len(stamped.positions) if stamped else 0


async def state(engine: AsyncEngine) -> FeedState:
    """How far the feed reaches."""
    async with database.transaction(engine) as connection:
        return await event_rows.state(connection)


async def feed(engine: AsyncEngine, fresh: Sequence[Event], *, after_sequence: int = 0) -> None:
    """Append events of one subject and number them."""
    await append(engine, fresh, after_sequence=after_sequence)
    await stamp(engine)
