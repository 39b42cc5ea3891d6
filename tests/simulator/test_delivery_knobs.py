"""The knobs of webhook delivery: duplicate, drop, delay, shuffle, pause."""

from simulator.delivery.message import Message
from tests.simulator.setup import Setup


def send(setup: Setup, count: int = 1) -> list[Message]:
    """Dispatch messages with the bodies 0, 1, …."""
    return [message for number in range(count) for message in setup.simulation.sender.dispatch(str(number).encode())]


async def test_duplicated_messages_arrive_twice_with_one_id(setup: Setup) -> None:
    """The knob is a probability; 1 duplicates every message."""
    await setup.turn(webhooks={"duplicate": 1})

    (message,) = send(setup)
    await setup.settle()

    assert setup.receiver.ids == [message.id] * 2


async def test_dropped_messages_arrive_only_after_a_resend(setup: Setup) -> None:
    """The resend has the same id."""
    await setup.turn(webhooks={"drop": 1})
    (message,) = send(setup)
    await setup.settle()
    assert setup.receiver.requests == []

    await setup.control(f"webhooks/{message.id}/resend")
    await setup.settle()

    assert setup.receiver.ids == [message.id]


async def test_a_resend_of_an_unknown_message_answers_404(setup: Setup) -> None:
    """The log has no message with that id."""
    response = await setup.client.post("/_control/webhooks/msg_nothing/resend")

    assert response.status_code == 404


async def test_delayed_messages_wait_before_their_first_attempt(setup: Setup) -> None:
    """In real seconds, independent of the speed."""
    await setup.turn(webhooks={"delay_seconds": 3, "speed": 100})

    send(setup)
    await setup.settle()

    assert setup.clock.slept == [3.0]


async def test_shuffled_messages_wait_at_random_within_the_window(setup: Setup) -> None:
    """Each message waits for a different time, so that later ones can arrive first."""
    await setup.turn(seed=7, webhooks={"shuffle_seconds": 10})

    send(setup, 20)
    await setup.settle()

    assert len(set(setup.clock.slept)) == 20
    assert 0 <= min(setup.clock.slept) < max(setup.clock.slept) <= 10
    assert setup.clock.slept != sorted(setup.clock.slept)


async def test_a_pause_holds_messages_until_a_flush(setup: Setup) -> None:
    """The pause continues for later messages."""
    await setup.turn(webhooks={"paused": True})
    send(setup, 2)
    await setup.settle()
    held = list(setup.receiver.requests)

    flushed = await setup.control("webhooks/flush")
    send(setup)
    await setup.settle()

    assert (held, flushed, setup.receiver.bodies) == ([], {"released": 2}, ["0", "1"])
    assert (await setup.get("/_control/webhooks"))["under_way"] == 1


async def test_ending_a_pause_sends_the_held_messages(setup: Setup) -> None:
    """By PATCH, and by a PUT of knobs without a pause."""
    await setup.turn(webhooks={"paused": True})
    send(setup)
    await setup.turn(webhooks={"paused": False})
    await setup.turn(webhooks={"paused": True})
    send(setup)
    await setup.client.put("/_control/knobs", json={})

    await setup.settle()

    assert setup.receiver.bodies == ["0", "0"]
