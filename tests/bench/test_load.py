import re

from bench import load
from bench.load import PassResult


def test_paced_webhooks_keep_their_rate_whatever_each_answer_takes() -> None:
    """A webhook waits for its own time. A late one is sent at once. Without a rate none waits."""
    step_counts = PassResult(upcoming=iter(()), rate=100, started_at=50.0)

    pauses = [step_counts.pause_seconds(50.0), step_counts.pause_seconds(50.015), step_counts.pause_seconds(51.0)]

    assert [round(pause, 6) for pause in pauses] == [0.01, 0.005, 0.0]
    assert PassResult(upcoming=iter(()), rate=None).pause_seconds(0.0) == 0.0


def test_message_ids_look_like_those_of_svix_and_differ() -> None:
    """They begin with `msg_` and 27 characters, and all differ."""
    ids = {load.svix_id(number) for number in range(100)}

    assert len(ids) == 100
    assert all(re.fullmatch(r"msg_[0-9a-f]{27}", each) for each in ids)
