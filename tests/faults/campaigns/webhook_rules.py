"""Invariants about webhooks: every acknowledged one is stored, and only genuine ones are."""

from collections import Counter
from collections.abc import Iterator

from tests.faults.campaigns.evidence import Evidence


def acknowledged_is_stored_once(evidence: Evidence) -> Iterator[str]:
    """I1: each 2xx message id is stored once, its body byte for byte, and every 2xx was counted."""
    tries: Counter[str] = Counter()
    acknowledged: Counter[str] = Counter()
    bodies: dict[str, str] = {}
    for sent in evidence.timeline.sent:
        tries[sent.message_id] += 1
        bodies[sent.message_id] = sent.body
        acknowledged[sent.message_id] += sent.status is not None and 200 <= sent.status < 300
    for message_id, count in (+acknowledged).items():
        stored = evidence.webhooks.get(message_id)
        if stored is None:
            yield f"{message_id} was acknowledged and is not stored"
            continue
        if stored.body != bodies[message_id].encode():
            yield f"{message_id} is stored with another body"
        if not count <= stored.received_count <= tries[message_id]:
            yield (
                f"{message_id} was sent {tries[message_id]} times, acknowledged {count} times "
                f"and counted {stored.received_count} times"
            )


def only_genuine_is_stored(evidence: Evidence) -> Iterator[str]:
    """I2: only webhooks that must verify are stored and acknowledged, and none of these is refused."""
    genuine = {sent.message_id for sent in evidence.timeline.sent if sent.is_genuine}
    for message_id in evidence.webhooks.keys() - genuine:
        yield f"{message_id} is stored and did not verify"
    for sent in evidence.timeline.sent:
        if not sent.is_genuine and sent.status is not None and sent.status < 500 and sent.status != 401:
            yield f"{sent.message_id} did not verify and was answered {sent.status}"
        if sent.is_genuine and sent.status is not None and 300 <= sent.status < 500:
            yield f"{sent.message_id} is genuine and was answered {sent.status}"
