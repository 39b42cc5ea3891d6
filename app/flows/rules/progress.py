"""The progress of a flow, and what a snapshot of Dots adds to it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from app.dots.snapshots import FlowSnapshot
from app.flows.rules.steps import REDIRECT

# `passed_over`: a later step is done, so Dots may have skipped this one. `not_awaited`: the flow is complete without
# it, because it is a redirect or a step that Dots no longer lists.
StepState = Literal["pending", "passed_over", "completed", "not_awaited"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a flow: `steps` as Dots lists them, `completed` in the order in which we found them."""

    steps: tuple[str, ...]
    completed: tuple[str, ...] = ()
    user_id: str | None = None
    is_complete: bool = False

    @property
    def states(self) -> tuple[StepState, ...]:
        """The state of each of `steps`."""
        over = steps_passed_over(self.steps, self.completed)
        rest: StepState = "not_awaited" if self.is_complete else "pending"
        return tuple(
            "completed" if step in self.completed else "passed_over" if step in over else rest for step in self.steps
        )

    @property
    def step_counts(self) -> tuple[int, int]:
        """The number of done steps and of all that count. A complete flow counts only its done steps."""
        needed = needed_steps(self.steps)
        done = sum(step in self.completed for step in needed)
        return done, done if self.is_complete else len(needed)

    @property
    def next_step(self) -> str | None:
        """The step that the flow waits for: the first pending one, else the first that was passed over."""
        if self.is_complete:
            return None
        needed = needed_steps(self.steps)
        waiting = [(state, step) for step, state in zip(self.steps, self.states, strict=True) if step in needed]
        return next((step for wanted in ("pending", "passed_over") for state, step in waiting if state == wanted), None)

    @property
    def passed_over(self) -> tuple[str, ...]:
        """The needed steps that were passed over, in their order."""
        over = steps_passed_over(self.steps, self.completed)
        return tuple(step for step in needed_steps(self.steps) if step in over)

    @property
    def waits_for_passed_over(self) -> bool:
        """Whether an open flow waits only for steps that were passed over."""
        return not self.is_complete and is_complete(self.steps, self.completed, may_pass_over=True)


@dataclass(frozen=True, kw_only=True)
class ProgressDiff:
    """What a snapshot changed: the new progress, what is new in it, and the completed steps that the snapshot lacks."""

    progress: Progress
    newly_completed: tuple[str, ...]
    is_newly_claimed: bool
    is_newly_complete: bool
    missing_again: tuple[str, ...]


def needed_steps(steps: Sequence[str]) -> list[str]:
    """Return the steps that complete a flow. Dots may never report a `redirect`, so it counts only if it is alone."""
    return [step for step in steps if step != REDIRECT] or list(steps)


def steps_passed_over(steps: Sequence[str], completed: Collection[str]) -> frozenset[str]:
    """Return the steps that are not done although a later one is."""
    last = max((place for place, step in enumerate(steps) if step in completed), default=0)
    return frozenset(step for step in steps[:last] if step not in completed)


def is_complete(steps: Sequence[str], completed: Collection[str], *, may_pass_over: bool = False) -> bool:
    """Whether every needed step is done. With `may_pass_over` they may be passed over, but one must be done."""
    needed = needed_steps(steps)
    over = steps_passed_over(steps, completed) if may_pass_over else ()
    return all(step in completed or step in over for step in needed) and any(step in completed for step in needed)


def merge(known: Progress, snapshot: FlowSnapshot, *, may_pass_over: bool = False) -> ProgressDiff:
    """Merge a snapshot into the known progress. Completed steps stay completed, even if the snapshot lacks them."""
    reported = tuple(dict.fromkeys(snapshot.completed_steps))
    newly_completed = tuple(step for step in reported if step not in known.completed)
    steps = snapshot.steps or known.steps
    completed = known.completed + newly_completed
    complete = known.is_complete or is_complete(steps, completed, may_pass_over=may_pass_over)
    return ProgressDiff(
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
