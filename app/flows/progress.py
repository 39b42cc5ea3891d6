"""How a flow's progress grows: what a snapshot of Dots adds to what was known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.flows.snapshots import FlowSnapshot
from app.flows.steps import REDIRECT


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is known of a flow: `steps` as Dots lists them, `completed` in the order they were found."""

    steps: tuple[str, ...]
    completed: tuple[str, ...] = ()
    user_id: str | None = None
    is_complete: bool = False


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What one snapshot changed: the progress after it, what is new in it, and completed steps it lacked."""

    progress: Progress
    newly_completed: tuple[str, ...]
    is_newly_claimed: bool
    is_newly_complete: bool
    missing_again: tuple[str, ...]


def is_complete(steps: Sequence[str], completed: Collection[str]) -> bool:
    """Whether every step is done; whether Dots ever reports a `redirect` is unknown, so it counts only alone."""
    needed = [step for step in steps if step != REDIRECT] or list(steps)
    return bool(needed) and all(step in completed for step in needed)


def merge(known: Progress, snapshot: FlowSnapshot) -> Growth:
    """Merge a snapshot into what is known. Nothing known is ever taken back, whatever the snapshot lacks."""
    reported = tuple(dict.fromkeys(snapshot.completed_steps))
    newly_completed = tuple(step for step in reported if step not in known.completed)
    steps = snapshot.steps or known.steps
    completed = known.completed + newly_completed
    complete = known.is_complete or is_complete(steps, completed)
    return Growth(
        progress=Progress(
            steps=steps,
            completed=completed,
            user_id=snapshot.user_id or known.user_id,
            is_complete=complete,
        ),
        newly_completed=newly_completed,
        is_newly_claimed=known.user_id is None and snapshot.user_id is not None,
        is_newly_complete=complete and not known.is_complete,
        missing_again=tuple(step for step in known.completed if step not in reported),
    )
