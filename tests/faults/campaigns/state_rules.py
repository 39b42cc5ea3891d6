"""Invariants about state: nothing stuck, equal to Dots, never shrinking, one flow per idempotency key."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.campaigns.evidence import Evidence, StoredFlow

CLIENT_REF_KEY = "dots_gateway_ref"
# A knob decides whether the simulator lists these. Once reported they stay known, even if it omits them later.
TAKEN_BACK = frozenset({"onboarding"})
_ID = re.compile(r"[0-9a-f-]{36}")
_RANKS = {"creating": 0, "failed": 1, "open": 1, "completed": 2}


def nothing_is_stuck(evidence: Evidence) -> Iterator[str]:
    """I3: at the end every announced subject was refreshed, and only the injected poison fails."""
    poisoned = {poison.subject_id for poison in evidence.timeline.poisoned}
    for row in evidence.sync_rows:
        if row.subject_id in poisoned:
            continue
        if row.clean_gen < row.dirty_gen:
            yield f"{row.kind}/{row.subject_id} is at generation {row.clean_gen} of {row.dirty_gen}"
        if row.is_late:
            yield f"{row.kind}/{row.subject_id} has been due for too long"
    failing = {row.subject_id for row in evidence.sync_rows if row.last_error}
    if failing != poisoned:
        yield f"failing is {sorted(failing)}, poisoned was {sorted(poisoned)}"
    if dead := {row.subject_id for row in evidence.sync_rows if row.is_dead} - poisoned:
        yield f"given up is {sorted(dead)}, which was not poisoned"
    if waiting := sum(event.position is None for event in evidence.events):
        yield f"{waiting} events have no place in the feed"
    for flow in evidence.flows:
        if flow.status == "creating":
            yield f"flow {flow.ref} is still being created"
    yield from _waiting(evidence)


def state_is_the_truth(evidence: Evidence) -> Iterator[str]:
    """I4: every flow that was asked for or announced is known and agrees with Dots, and so do the awaited users."""
    known = {flow.id: flow for flow in evidence.flows if flow.id}
    for flow_id in _expected_flows(evidence):
        if flow_id not in known:
            yield f"flow {flow_id} is not known"
    for flow_id, flow in known.items():
        if flow_id not in evidence.dots_state.flows:
            yield f"flow {flow_id} is not known to Dots"
        else:
            yield from _differences(flow, evidence.dots_state.flows[flow_id])
    for user_id, user in evidence.users.items():
        if not user.is_awaited or user_id not in evidence.dots_state.users:
            continue
        dots_state = evidence.dots_state.users[user_id]
        if user.was_id_verified != is_id_verified(dots_state):
            yield f"user {user_id} has was_id_verified={user.was_id_verified}"
        if (verdict := verdict_of(dots_state)) and user.verdict != verdict:
            yield f"user {user_id} is {user.verdict} here and {verdict} at Dots"


def progress_never_shrinks(evidence: Evidence) -> Iterator[str]:
    """I5: no caller saw fewer completed steps of a flow than an earlier caller, and the last state has all of them."""
    best: defaultdict[str, set[str]] = defaultdict(set)
    rank: defaultdict[str, int] = defaultdict(int)
    final = {flow.id: flow for flow in evidence.flows if flow.id}
    for seen in evidence.timeline.seen:
        if missing := best[seen.flow_id] - set(seen.completed):
            yield f"flow {seen.flow_id} was seen without {sorted(missing)} again"
        if _RANKS[seen.status] < rank[seen.flow_id]:
            yield f"flow {seen.flow_id} was seen {seen.status} again"
        best[seen.flow_id] |= set(seen.completed)
        rank[seen.flow_id] = max(rank[seen.flow_id], _RANKS[seen.status])
    for flow_id, completed in best.items():
        if flow_id not in final or completed - final[flow_id].completed:
            yield f"flow {flow_id} has lost what it was seen with"


def one_flow_a_key(evidence: Evidence) -> Iterator[str]:
    """I9: an idempotency key has one answer, one row, and one flow at Dots."""
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for asked in evidence.timeline.asked:
        if asked.flow_id:
            answers[asked.key].add(asked.flow_id)
    rows = {flow.idempotency_key: flow for flow in evidence.flows if flow.idempotency_key}
    made = Counter(ref for flow in evidence.dots_state.flows.values() if (ref := client_ref(flow)))
    for key, flow_ids in answers.items():
        if len(flow_ids) > 1:
            yield f"key {key} was answered with {len(flow_ids)} flows"
        if key not in rows or rows[key].id not in flow_ids:
            yield f"key {key} was answered with a flow that is not its own"
    for key, flow in rows.items():
        if made[flow.ref] > 1:
            yield f"key {key} has {made[flow.ref]} flows at Dots"


def client_ref(flow: Mapping[str, Any]) -> str | None:
    """Our reference in a flow at Dots."""
    metadata = flow["metadata"]
    return metadata.get(CLIENT_REF_KEY) if isinstance(metadata, dict) else None


def is_id_verified(user: Mapping[str, Any]) -> bool:
    """Whether Dots verified a user's identity."""
    return bool(user.get("compliance", {}).get("id_verified"))


def verdict_of(user: Mapping[str, Any]) -> str | None:
    """The settled verdict that follows from Dots' fields."""
    compliance = user.get("compliance", {})
    if compliance.get("has_criminal_activity") is True:
        return "flagged"
    return "cleared" if compliance.get("background_check", {}).get("status") == "pass" else None


def is_complete(dots_state: Mapping[str, Any]) -> bool:
    """Whether a flow is complete by design.md's rule 12."""
    needed = [step for step in dots_state["steps"] if step != "redirect"] or dots_state["steps"]
    return set(needed) <= set(dots_state["completed_steps"])


def _waiting(evidence: Evidence) -> Iterator[str]:
    """Events that have not reached all their recipients."""
    pending = Counter((each.subscriber, each.last_error) for each in evidence.deliveries if each.state == "pending")
    for (subscriber, error), count in pending.items():
        yield f"{count} deliveries to {subscriber} are pending, the last error was {error}"
    for cursor in evidence.cursors:
        if cursor.behind:
            yield f"the broker lacks {cursor.behind} events"


def _expected_flows(evidence: Evidence) -> set[str]:
    """Flows that a caller got, or that an acknowledged webhook named."""
    expected = {asked.flow_id for asked in evidence.timeline.asked if asked.flow_id}
    acknowledged = {
        sent.body for sent in evidence.timeline.sent if sent.status is not None and 200 <= sent.status < 300
    }
    named = {each for body in acknowledged for each in _ID.findall(body)}
    return expected | (named & evidence.dots_state.flows.keys())


def _differences(flow: StoredFlow, dots_state: Mapping[str, Any]) -> Iterator[str]:
    completed = frozenset(dots_state["completed_steps"])
    if flow.completed - TAKEN_BACK != completed - TAKEN_BACK or completed - flow.completed:
        lacks, extra = completed - flow.completed, flow.completed - completed
        yield f"flow {flow.id} lacks {sorted(lacks)} and has {sorted(extra)} too many"
    if flow.user_id != dots_state["user_id"]:
        yield f"flow {flow.id} has another user than at Dots"
    expected = "completed" if is_complete(dots_state) else "open"
    if flow.status != expected:
        yield f"flow {flow.id} is {flow.status}, not {expected}"
