"""The progress of flows, and how snapshots are merged into it."""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dots.snapshots import FlowSnapshot
from app.flows.rules import progress
from app.flows.rules.progress import Progress, ProgressDiff

COMPLETE: list[tuple[list[str], list[str], bool]] = [
    ([], [], False),
    ([], ["compliance"], False),
    (["compliance"], [], False),
    (["compliance"], ["compliance"], True),
    (["compliance", "payout"], ["payout"], False),
    (["compliance", "payout"], ["payout", "compliance"], True),
    # Steps that are not listed do not matter.
    (["compliance"], ["onboarding"], False),
    (["compliance"], ["onboarding", "compliance"], True),
    # A submitted check completes its step. The verdict comes later and belongs to the user.
    (["background-check"], ["background-check"], True),
    # Dots may not report redirects, so they count only if there is nothing else.
    (["compliance", "redirect"], ["compliance"], True),
    (["compliance", "redirect"], ["redirect"], False),
    (["redirect"], [], False),
    (["redirect"], ["redirect"], True),
]

BEFORE = Progress(steps=("compliance", "payout"), completed=("compliance",), user_id="user-1")
DONE = Progress(steps=("compliance", "payout"), completed=("compliance", "payout"), user_id="user-1", is_complete=True)


def snapshot(
    *, steps: Sequence[str] = (), completed_steps: Sequence[str] = (), user_id: str | None = None
) -> FlowSnapshot:
    """Build a snapshot with these fields."""
    return FlowSnapshot(
        id="flow-1",
        steps=tuple(steps),
        completed_steps=tuple(completed_steps),
        user_id=user_id,
        link=None,
        metadata=None,
        client_ref=None,
        payout_link_id=None,
        created_at=None,
    )


def diff(after: Progress, **changes: object) -> ProgressDiff:
    """Build a diff in which only these fields are new."""
    nothing = ProgressDiff(
        progress=after, newly_completed=(), is_newly_claimed=False, is_newly_complete=False, missing_again=()
    )
    return dataclasses.replace(nothing, **changes)  # type: ignore[arg-type]  # Checked when the table is built.


DIFFS: list[tuple[Progress, FlowSnapshot, ProgressDiff]] = [
    # Nothing new.
    (
        BEFORE,
        snapshot(steps=["compliance", "payout"], completed_steps=["compliance"], user_id="user-1"),
        diff(BEFORE),
    ),
    # The last step is completed.
    (
        BEFORE,
        snapshot(steps=["compliance", "payout"], completed_steps=["compliance", "payout"], user_id="user-1"),
        diff(DONE, newly_completed=("payout",), is_newly_complete=True),
    ),
    # A complete flow does not complete again.
    (
        DONE,
        snapshot(steps=["compliance", "payout"], completed_steps=["payout", "compliance"], user_id="user-1"),
        diff(DONE),
    ),
    # Dots takes everything back: the steps are reported as missing, but kept.
    (DONE, snapshot(), diff(DONE, missing_again=("compliance", "payout"))),
    # Steps are kept in the order in which they were found. A repeated step counts once.
    (
        Progress(steps=("compliance", "payout")),
        snapshot(steps=["compliance", "payout"], completed_steps=["payout", "compliance", "payout"]),
        diff(
            Progress(steps=("compliance", "payout"), completed=("payout", "compliance"), is_complete=True),
            newly_completed=("payout", "compliance"),
            is_newly_complete=True,
        ),
    ),
    # The last step is done and the first is not: by default the flow waits for it.
    (
        Progress(steps=("compliance", "payout")),
        snapshot(steps=["compliance", "payout"], completed_steps=["payout"]),
        diff(Progress(steps=("compliance", "payout"), completed=("payout",)), newly_completed=("payout",)),
    ),
    # Claimed by a user before any step is done.
    (
        Progress(steps=("payout",)),
        snapshot(steps=["payout"], user_id="user-1"),
        diff(Progress(steps=("payout",), user_id="user-1"), is_newly_claimed=True),
    ),
    # Dots merges users: the new id is used, and the flow is not claimed again.
    (
        Progress(steps=("payout",), user_id="user-1"),
        snapshot(steps=["payout"], user_id="user-2"),
        diff(Progress(steps=("payout",), user_id="user-2")),
    ),
    # Dots adds a step. An unknown step is kept too.
    (
        Progress(steps=("payout",)),
        snapshot(steps=["onboarding", "payout"], completed_steps=["onboarding", "palm-reading"]),
        diff(
            Progress(steps=("onboarding", "payout"), completed=("onboarding", "palm-reading")),
            newly_completed=("onboarding", "palm-reading"),
        ),
    ),
    # A complete flow stays complete if Dots adds a step.
    (
        Progress(steps=("payout",), completed=("payout",), is_complete=True),
        snapshot(steps=["payout", "compliance"], completed_steps=["payout"]),
        diff(Progress(steps=("payout", "compliance"), completed=("payout",), is_complete=True)),
    ),
    # Dots drops the pending step.
    (
        BEFORE,
        snapshot(steps=["compliance"], completed_steps=["compliance"]),
        diff(
            Progress(steps=("compliance",), completed=("compliance",), user_id="user-1", is_complete=True),
            is_newly_complete=True,
        ),
    ),
]

# Steps, completed steps, whether the flow is complete with passed-over steps, and the passed-over steps.
PASSED_OVER: list[tuple[list[str], list[str], bool, set[str]]] = [
    ([], [], False, set()),
    (["compliance"], [], False, set()),
    (["compliance"], ["compliance"], True, set()),
    (["compliance", "payout"], ["payout"], True, {"compliance"}),
    # The last step is not done, and no later step shows that it was skipped.
    (["compliance", "payout"], ["compliance"], False, set()),
    (["compliance", "manage-payouts", "payout"], ["manage-payouts"], False, {"compliance"}),
    # A reported redirect passes over steps, but one other step must be done.
    (["compliance", "payout", "redirect"], ["compliance", "redirect"], True, {"payout"}),
    (["compliance", "redirect"], ["redirect"], False, {"compliance"}),
    # A redirect is not needed at any position.
    (["redirect", "payout"], ["payout"], True, {"redirect"}),
    # An unlisted step passes over no step.
    (["compliance"], ["onboarding"], False, set()),
]

# The progress, the states of its steps, the counts of its steps, and the next step.
SHOWN: list[tuple[Progress, list[str], tuple[int, int], str | None]] = [
    (Progress(steps=("compliance", "redirect")), ["pending", "pending"], (0, 1), "compliance"),
    (
        Progress(steps=("compliance", "payout", "redirect"), completed=("compliance",)),
        ["completed", "pending", "pending"],
        (1, 2),
        "payout",
    ),
    (
        Progress(steps=("compliance", "payout", "redirect"), completed=("compliance", "payout"), is_complete=True),
        ["completed", "completed", "not_awaited"],
        (2, 2),
        None,
    ),
    # Dots has dropped a step. It is still stored, and the flow is complete without it.
    (
        Progress(steps=("compliance", "payout"), completed=("compliance",), is_complete=True),
        ["completed", "not_awaited"],
        (1, 1),
        None,
    ),
    (
        Progress(steps=("compliance", "manage-payouts", "payout"), completed=("manage-payouts",)),
        ["passed_over", "completed", "pending"],
        (1, 3),
        "payout",
    ),
    (
        Progress(steps=("compliance", "payout", "redirect"), completed=("payout",)),
        ["passed_over", "completed", "pending"],
        (1, 2),
        "compliance",
    ),
    (
        Progress(steps=("compliance", "payout", "redirect"), completed=("payout",), is_complete=True),
        ["passed_over", "completed", "not_awaited"],
        (1, 1),
        None,
    ),
    (Progress(steps=("redirect",)), ["pending"], (0, 1), "redirect"),
    (Progress(steps=("redirect",), completed=("redirect",), is_complete=True), ["completed"], (1, 1), None),
    (Progress(steps=()), [], (0, 0), None),
]

NAMES = st.sampled_from(["compliance", "payout", "redirect", "background-check", "palm-reading"])
SNAPSHOTS = st.lists(
    st.builds(
        snapshot,
        steps=st.lists(NAMES, max_size=4, unique=True),
        completed_steps=st.lists(NAMES, max_size=5),
        user_id=st.none() | st.sampled_from(["user-1", "user-2"]),
    ),
    max_size=8,
)


@pytest.mark.parametrize(("steps", "completed", "is_complete"), COMPLETE, ids=range(len(COMPLETE)))
def test_completeness(steps: list[str], completed: list[str], is_complete: bool) -> None:  # noqa: FBT001  # a column
    """A flow is complete if all its steps except redirects are."""
    assert progress.is_complete(steps, completed) is is_complete


@pytest.mark.parametrize(("steps", "completed", "is_complete", "over"), PASSED_OVER, ids=range(len(PASSED_OVER)))
def test_flow_may_complete_with_passed_over_steps_if_allowed(
    *, steps: list[str], completed: list[str], is_complete: bool, over: set[str]
) -> None:
    """A step is passed over if a later one is done. At least one needed step must be done."""
    may_be = progress.merge(
        Progress(steps=tuple(steps)), snapshot(steps=steps, completed_steps=completed), may_pass_over=True
    )
    may_not_be = progress.merge(Progress(steps=tuple(steps)), snapshot(steps=steps, completed_steps=completed))

    assert progress.steps_passed_over(steps, completed) == over
    assert may_be.is_newly_complete is is_complete
    assert may_not_be.progress.waits_for_passed_over is (is_complete and not may_not_be.is_newly_complete)
    assert not may_be.progress.waits_for_passed_over


@pytest.mark.parametrize(("known", "states", "step_counts", "next_step"), SHOWN, ids=range(len(SHOWN)))
def test_steps_are_shown_by_their_states(
    known: Progress, states: list[str], step_counts: tuple[int, int], next_step: str | None
) -> None:
    """The states, the counts and the next step follow from the progress."""
    assert list(known.states) == states
    assert known.step_counts == step_counts
    assert known.next_step == next_step


@pytest.mark.parametrize(("known", "said", "expected"), DIFFS, ids=range(len(DIFFS)))
def test_snapshot_is_merged(known: Progress, said: FlowSnapshot, expected: ProgressDiff) -> None:
    """The diff names what is new, and known facts stay."""
    assert progress.merge(known, said) == expected


@given(snapshots=SNAPSHOTS)
@settings(deadline=None, derandomize=True)  # A busy machine must not fail the test.
def test_progress_never_shrinks(snapshots: list[FlowSnapshot]) -> None:
    """No sequence of snapshots removes a step, a user or the completion, or reports one twice."""
    known = Progress(steps=("compliance",))
    diffs: list[ProgressDiff] = []
    for said in snapshots:
        merged = progress.merge(known, said)
        assert merged.progress.completed[: len(known.completed)] == known.completed
        assert merged.progress.is_complete >= known.is_complete
        assert merged.progress.user_id or not known.user_id
        assert merged.progress.steps
        diffs.append(merged)
        known = merged.progress

    assert known.completed == tuple(step for merged in diffs for step in merged.newly_completed)
    assert len(set(known.completed)) == len(known.completed)
    assert sum(merged.is_newly_complete for merged in diffs) == known.is_complete
    assert sum(merged.is_newly_claimed for merged in diffs) == (known.user_id is not None)


@given(snapshots=SNAPSHOTS)
@settings(deadline=None, derandomize=True)  # A busy machine must not fail the test.
def test_snapshots_twice_change_nothing(snapshots: list[FlowSnapshot]) -> None:
    """Merging the same snapshot again changes nothing."""
    known = Progress(steps=("compliance",))
    for said in snapshots:
        known = progress.merge(known, said).progress
        again = progress.merge(known, said)
        assert again == diff(known, missing_again=again.missing_again)


@given(done=st.lists(st.lists(NAMES, max_size=5), max_size=6), order=st.randoms(use_true_random=False))
@settings(deadline=None, derandomize=True)  # A busy machine must not fail the test.
def test_order_of_snapshots_does_not_matter(done: list[list[str]], order: object) -> None:
    """Snapshots in any order lead to the same completed steps."""
    shuffled = done[:]
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis' replacement of random.Random.

    ends = [end_of(sequence) for sequence in (done, shuffled)]

    assert set(ends[0].completed) == set(ends[1].completed)
    assert ends[0].is_complete is ends[1].is_complete


def end_of(sequence: list[list[str]]) -> Progress:
    """Return the progress after snapshots with these completed steps."""
    known = Progress(steps=("compliance", "payout"))
    for completed_steps in sequence:
        known = progress.merge(known, snapshot(completed_steps=completed_steps)).progress
    return known
