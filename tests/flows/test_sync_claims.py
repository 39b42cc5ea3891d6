"""How claims end: settled, postponed, given up, given back, or lost to somebody else."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.dots.fake_dots import NOW
from tests.flows.syncing import (
    MINUTE,
    claim_due,
    dead_letter,
    defer,
    mark_due,
    postpone,
    row_of,
    settle,
    subject,
)


async def test_lease_ends(engine: AsyncEngine) -> None:
    """What a dead worker held is claimed by the next one, at the end of the lease and not before."""
    await mark_due(engine, subject())
    await claim_due(engine)

    early = await claim_due(engine, now=NOW + MINUTE - timedelta(microseconds=1))
    late = await claim_due(engine, now=NOW + MINUTE, token=UUID(int=2))

    assert early == []
    assert [(claim.subject, claim.token) for claim in late] == [(subject(), UUID(int=2))]


async def test_late_worker_changes_nothing(engine: AsyncEngine) -> None:
    """Whoever has slept through its lease may not write: the row is the next one's."""
    await mark_due(engine, subject())
    (late,) = await claim_due(engine)
    await claim_due(engine, now=NOW + MINUTE, token=UUID(int=2))
    before = await row_of(engine, subject())

    is_settled = await settle(engine, late, next_due_at=NOW)
    is_postponed = await postpone(engine, late)
    is_dead = await dead_letter(engine, late)
    await defer(engine, late)

    assert (is_settled, is_postponed, is_dead) == (False, False, False)
    assert await row_of(engine, subject()) == before


async def test_claim_ends_once(engine: AsyncEngine) -> None:
    """A claim that was settled cannot be settled or postponed again."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)

    answers = [await settle(engine, claim), await settle(engine, claim), await postpone(engine, claim)]

    assert answers == [True, False, False]
    assert (await row_of(engine, subject()))["attempts"] == 0


async def test_settled_subject_waits_for_its_next_look(engine: AsyncEngine) -> None:
    """The generation that was seen is clear, the failures are forgotten, and a sweep is next."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)
    await postpone(engine, claim, due_at=NOW)
    (claim,) = await claim_due(engine)

    await settle(engine, claim, next_due_at=NOW + MINUTE)

    assert await row_of(engine, subject(), "due_at", "due_by", "dirty_gen", "clean_gen") == {
        "due_at": NOW + MINUTE,
        "due_by": "sweep",
        "dirty_gen": 1,
        "clean_gen": 1,
    }
    assert await row_of(engine, subject(), "lease_token", "lease_until", "attempts", "last_error") == {
        "lease_token": None,
        "lease_until": None,
        "attempts": 0,
        "last_error": None,
    }


async def test_subject_without_a_next_look_is_done(engine: AsyncEngine) -> None:
    """What has nothing left to look for is never due again by itself."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)

    await settle(engine, claim)

    assert await claim_due(engine, now=NOW + timedelta(days=1000)) == []


async def test_webhook_during_a_refresh_is_kept(engine: AsyncEngine) -> None:
    """A refresh clears only what it saw; what was raised meanwhile is due at once, whatever the refresh says."""
    await mark_due(engine, subject(), by="create")
    (claim,) = await claim_due(engine)
    await mark_due(engine, subject(), at=NOW + MINUTE, by="webhook")

    await settle(engine, claim, next_due_at=NOW + timedelta(days=1))

    assert await row_of(engine, subject(), "due_at", "due_by", "dirty_gen", "clean_gen", "lease_token") == {
        "due_at": NOW,
        "due_by": "webhook",
        "dirty_gen": 2,
        "clean_gen": 1,
        "lease_token": None,
    }
    (again,) = await claim_due(engine)
    assert again.seen_gen == 2


async def test_postponed_subject_is_tried_again(engine: AsyncEngine) -> None:
    """A failure is counted and named, and the next claim knows how many there were."""
    await mark_due(engine, subject())
    for _ in range(2):
        (claim,) = await claim_due(engine)
        await postpone(engine, claim, due_at=NOW)

    (claim,) = await claim_due(engine)

    assert claim.attempts == 2
    assert await row_of(engine, subject(), "due_at", "due_by", "last_error", "dirty_gen", "clean_gen") == {
        "due_at": NOW,
        "due_by": "webhook",
        "last_error": "dots_failed",
        "dirty_gen": 1,
        "clean_gen": 0,
    }


async def test_webhook_during_a_failing_refresh_is_kept(engine: AsyncEngine) -> None:
    """The retry sees the later generation, and settles both."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)
    await mark_due(engine, subject())
    await postpone(engine, claim, due_at=NOW)

    (retry,) = await claim_due(engine)
    await settle(engine, retry)

    assert await row_of(engine, subject(), "due_at", "dirty_gen", "clean_gen") == {
        "due_at": None,
        "dirty_gen": 2,
        "clean_gen": 2,
    }


async def test_deferred_subject_is_as_it_was_but_later(engine: AsyncEngine) -> None:
    """What could not be asked about for a reason that is not its own has failed at nothing; others come first."""
    await mark_due(engine, subject())
    before = await row_of(engine, subject())
    (claim,) = await claim_due(engine)

    await defer(engine, claim, due_at=NOW + MINUTE)

    assert await row_of(engine, subject()) == {**before, "due_at": NOW + MINUTE}


async def test_dead_subject_is_not_due(engine: AsyncEngine) -> None:
    """What cannot succeed is not tried again by itself; why is noted."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)

    is_dead = await dead_letter(engine, claim)

    assert is_dead
    assert await claim_due(engine, now=NOW + timedelta(days=1000)) == []
    assert await row_of(engine, subject(), "due_at", "dead_at", "last_error", "clean_gen", "lease_token") == {
        "due_at": None,
        "dead_at": NOW,
        "last_error": "dots_refused",
        "clean_gen": 0,
        "lease_token": None,
    }


async def test_news_raises_the_dead(engine: AsyncEngine) -> None:
    """A webhook or an operator makes it due again, with all its attempts."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)
    await dead_letter(engine, claim)

    await mark_due(engine, subject(), by="refresh")

    assert await row_of(engine, subject(), "due_at", "dead_at", "attempts") == {
        "due_at": NOW,
        "dead_at": None,
        "attempts": 0,
    }


async def test_webhook_during_the_last_attempt_is_kept(engine: AsyncEngine) -> None:
    """What came while Dots was refusing gets its own try."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)
    await mark_due(engine, subject())

    await dead_letter(engine, claim)

    (again,) = await claim_due(engine)
    assert again.seen_gen == 2


async def test_failures_are_dated_from_the_first(engine: AsyncEngine) -> None:
    """News does not make a long failure a short one; a success does."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)
    await postpone(engine, claim, due_at=NOW)
    await mark_due(engine, subject())

    (failing,) = await claim_due(engine)
    await settle(engine, failing)
    await mark_due(engine, subject())
    (healthy,) = await claim_due(engine)

    assert (failing.failing_since, failing.attempts) == (NOW, 0)
    assert healthy.failing_since is None
