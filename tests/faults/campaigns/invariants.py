"""The invariants I0 to I11 by name, and the pure function that judges them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from tests.faults.campaigns import delivery_rules, feed_rules, state_rules, webhook_rules
from tests.faults.campaigns.evidence import Evidence

Rule = Callable[[Evidence], Iterator[str]]

# One fault may cause a thousand violations. The first few are enough.
SHOWN_OF_EACH = 5


def nothing_broke(evidence: Evidence) -> Iterator[str]:
    """I0: no process logged an unexpected error."""
    for broke in evidence.timeline.broke:
        yield broke.line[:300]


RULES: Mapping[str, Rule] = {
    "I0": nothing_broke,
    "I1": webhook_rules.acknowledged_is_stored_once,
    "I2": webhook_rules.only_genuine_is_stored,
    "I3": state_rules.nothing_is_stuck,
    "I4": state_rules.state_is_the_truth,
    "I5": state_rules.progress_never_shrinks,
    "I6": feed_rules.one_event_a_transition,
    "I7": feed_rules.feed_is_dense_and_fixed,
    "I8": feed_rules.subjects_are_in_order,
    "I9": state_rules.one_flow_a_key,
    "I10": delivery_rules.each_event_arrives,
    "I11": delivery_rules.first_arrivals_are_in_order,
}


def judge(evidence: Evidence, names: Iterable[str] = tuple(RULES)) -> list[str]:
    """The violations, each after the name of its invariant; empty when all hold."""
    return [f"{name}: {violation}" for name in names for violation in islice(RULES[name](evidence), SHOWN_OF_EACH)]
