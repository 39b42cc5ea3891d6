"""The ends of claims: settled, postponed, dead, deferred, or lost."""

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
    """Another worker can claim a dead worker's row exactly when the lease ends."""
    await mark_due(engine, subject())
    await claim_due(engine)

    early = await claim_due(engine, now=NOW + MINUTE - timedelta(microseconds=1))
    late = await claim_due(engine, now=NOW + MINUTE, token=UUID(int=2))

    assert early == []
    assert [(claim.subject, claim.token) for claim in late] == [(subject(), UUID(int=2))]


async def test_late_worker_changes_nothing(engine: AsyncEngine) -> None:
    """A worker that has lost its lease cannot change the row."""
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


async def test_settled_subject_waits_for_its_sweep(engine: AsyncEngine) -> None:
    """Settling clears the seen generation and the failures, and sets the next sweep."""
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


async def test_subject_without_a_next_refresh_is_not_due(engine: AsyncEngine) -> None:
    """A settled subject without a next time is never due by itself."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)

    await settle(engine, claim)

    assert await claim_due(engine, now=NOW + timedelta(days=1000)) == []


async def test_webhook_during_a_refresh_is_kept(engine: AsyncEngine) -> None:
    """A refresh clears only the generation that it saw. If it was raised meanwhile, the row stays due."""
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
    """The row has the number of failures and the last error."""
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
    """The retry clears the later generation too."""
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


async def test_deferred_subject_is_only_due_later(engine: AsyncEngine) -> None:
    """Deferring changes the due time and counts no attempt."""
    await mark_due(engine, subject())
    before = await row_of(engine, subject())
    (claim,) = await claim_due(engine)

    await defer(engine, claim, due_at=NOW + MINUTE)

    assert await row_of(engine, subject()) == {**before, "due_at": NOW + MINUTE}


async def test_dead_subject_is_not_due(engine: AsyncEngine) -> None:
    """A dead letter is never due by itself. The row has the reason."""
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


async def test_request_revives_a_dead_letter(engine: AsyncEngine) -> None:
    """A request makes a dead letter due again and resets its attempts."""
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
    """A webhook during the last refused call gets another try."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)
    await mark_due(engine, subject())

    await dead_letter(engine, claim)

    (again,) = await claim_due(engine)
    assert again.seen_gen == 2


async def test_failures_are_dated_from_the_first(engine: AsyncEngine) -> None:
    """A webhook does not reset the begin of the failures. A success does."""
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
