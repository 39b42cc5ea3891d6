"""Invariants about events and the feed: each fact once, in order, at a fixed position."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.faults.campaigns import history
from tests.faults.campaigns.evidence import Evidence, StoredEvent
from tests.faults.campaigns.state_rules import TAKEN_BACK, client_ref, is_complete, is_id_verified, verdict_of

Telling = tuple[str, str | None]


def one_event_a_transition(evidence: Evidence) -> Iterator[str]:
    """I6: the events of a flow or user are exactly what happened to it, each once."""
    reported: defaultdict[str, Counter[Telling]] = defaultdict(Counter)
    for event in evidence.events:
        reported[event.subject][event.type.removeprefix("dots."), event.step] += 1
    made_with_user = {asked.key for asked in evidence.timeline.asked if asked.has_user}
    for flow in evidence.flows:
        if flow.id is None or flow.id not in evidence.dots_state.flows:
            continue
        dots_state = evidence.dots_state.flows[flow.id]
        here = reported[f"flow/{flow.id}"]
        expected: Counter[Telling] = Counter({("flow.created", None): 1})
        expected.update(("flow.step_completed", step) for step in dots_state["completed_steps"])
        if dots_state["user_id"] and flow.idempotency_key not in made_with_user and flow.caller:
            expected["flow.claimed", None] = 1
        if is_complete(dots_state):
            expected["flow.completed", None] = 1
        optional: set[Telling] = {("flow.step_completed", name) for name in TAKEN_BACK}
        if (
            client_ref(dots_state) is None
        ):  # A flow that was made elsewhere may have been claimed before the gateway first saw it.
            optional.add(("flow.claimed", None))
        yield from _compare(f"flow/{flow.id}", here, expected, optional)
    yield from _user_events(evidence, reported)


def feed_is_dense_and_fixed(evidence: Evidence) -> Iterator[str]:
    """I7: positions are 1, 2, 3, …; the feed holds all of them; no page read at any time differs from it."""
    placed = sorted((event for event in evidence.events if event.position), key=lambda event: event.position or 0)
    if [event.position for event in placed] != list(range(1, len(placed) + 1)):
        yield "positions have holes or doubles"
    if [event["id"] for event in evidence.feed] != [event.id for event in placed]:
        yield f"the feed has {len(evidence.feed)} events, not the {len(placed)} that have a place"
    if evidence.feed != evidence.feed_again:
        yield "two readings from zero differ"
    final = history.digests(evidence.feed)
    position: dict[str | None, int] = {None: 0}
    for page in evidence.timeline.pages:
        begin = position.get(page.after)
        if begin is None:
            yield f"a page was read after {page.after}, a cursor that no page had given"
            continue
        end = begin + len(page.digests)
        if final[begin:end] != page.digests:
            yield f"the page of events {begin + 1} to {end} was another one when it was read"
        if position.setdefault(page.next_cursor, end) != end:
            yield f"the cursor {page.next_cursor} has stood for {position[page.next_cursor]} and for {end}"


def subjects_are_in_order(evidence: Evidence) -> Iterator[str]:
    """I8: in the feed each subject counts 1, 2, 3, …, begins with its creation, and ends with its completion."""
    by_subject: defaultdict[str, list[StoredEvent]] = defaultdict(list)
    placed = (event for event in evidence.events if event.position)
    for event in sorted(placed, key=lambda event: event.position or 0):
        by_subject[event.subject].append(event)
    for subject, events in by_subject.items():
        if [event.sequence for event in events] != list(range(1, len(events) + 1)):
            yield f"{subject} comes as {[event.sequence for event in events]}"
        if subject.startswith("flow/") and events[0].type != "dots.flow.created":
            yield f"{subject} begins with {events[0].type}"


def _user_events(evidence: Evidence, reported: defaultdict[str, Counter[Telling]]) -> Iterator[str]:
    decided: defaultdict[str, list[str]] = defaultdict(list)
    for each in evidence.timeline.decided:
        decided[each.user_id].append(each.verdict)
    settled: defaultdict[str, list[str]] = defaultdict(list)
    for event in sorted(evidence.events, key=lambda event: (event.subject, event.sequence)):
        if event.type.startswith("dots.background_check."):
            settled[event.subject.removeprefix("user/")].append(event.type.rpartition(".")[2])
    for user_id, user in evidence.users.items():
        dots_state = evidence.dots_state.users.get(user_id)
        if dots_state is None or not user.is_awaited:
            continue
        verified = reported[f"user/{user_id}"]["user.id_verified", None]
        if verified != int(is_id_verified(dots_state)):
            yield f"user/{user_id} has {verified} events of its verified id"
        verdict = verdict_of(dots_state)
        if verdict and settled[user_id][-1:] != [verdict]:
            yield f"user/{user_id} is {verdict} and was reported as {settled[user_id]}"
        if not _is_part(settled[user_id], decided[user_id]):
            yield f"user/{user_id} was reported as {settled[user_id]} when Dots decided {decided[user_id]}"


def _is_part(reported: list[str], decided: list[str]) -> bool:
    """Whether the reported verdicts are a subsequence of the decided ones."""
    rest = iter(decided)
    return all(each in rest for each in reported)


def _compare(subject: str, here: Counter[Telling], expected: Counter[Telling], optional: set[Telling]) -> Iterator[str]:
    for telling in sorted(here.keys() | expected.keys(), key=str):
        if telling in optional and here[telling] <= 1:
            continue
        if here[telling] != expected[telling]:
            yield f"{subject} has {here[telling]} events {telling}, not {expected[telling]}"
