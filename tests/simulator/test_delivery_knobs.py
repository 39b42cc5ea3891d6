"""What the knobs do to deliveries: doubled, dropped, delayed, shuffled, held."""

from simulator.delivery.message import Message
from tests.simulator.stage import Stage

OTHER_SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"


def send(stage: Stage, count: int = 1) -> list[Message]:
    """Dispatch messages with the bodies 0, 1, …."""
    return [message for number in range(count) for message in stage.simulation.sender.dispatch(str(number).encode())]


async def test_doubled_messages_come_twice_under_one_id(stage: Stage) -> None:
    """The knob is a chance; 1 is always."""
    await stage.turn(webhooks={"duplicate": 1})

    (message,) = send(stage)
    await stage.settle()

    assert stage.receiver.ids == [message.id] * 2


async def test_dropped_messages_never_come_but_can_be_resent(stage: Stage) -> None:
    """As by hand in Svix' dashboard, under the same id."""
    await stage.turn(webhooks={"drop": 1})
    (message,) = send(stage)
    await stage.settle()
    assert stage.receiver.requests == []

    await stage.control(f"webhooks/{message.id}/resend")
    await stage.settle()

    assert stage.receiver.ids == [message.id]


async def test_nothing_unknown_can_be_resent(stage: Stage) -> None:
    """404 for an id that was never sent."""
    response = await stage.client.post("/_control/webhooks/msg_nothing/resend")

    assert response.status_code == 404


async def test_delayed_messages_wait_before_their_first_attempt(stage: Stage) -> None:
    """In real seconds, whatever the speed."""
    await stage.turn(webhooks={"delay_seconds": 3, "speed": 100})

    send(stage)
    await stage.settle()

    assert stage.clock.slept == [3.0]


async def test_shuffled_messages_wait_at_random_within_the_window(stage: Stage) -> None:
    """Each its own time, so that later ones can come first."""
    await stage.turn(seed=7, webhooks={"shuffle_seconds": 10})

    send(stage, 20)
    await stage.settle()

    assert len(set(stage.clock.slept)) == 20
    assert 0 <= min(stage.clock.slept) < max(stage.clock.slept) <= 10
    assert stage.clock.slept != sorted(stage.clock.slept)


async def test_a_pause_holds_messages_until_a_flush(stage: Stage) -> None:
    """And goes on for later ones."""
    await stage.turn(webhooks={"paused": True})
    send(stage, 2)
    await stage.settle()
    held = list(stage.receiver.requests)

    flushed = await stage.control("webhooks/flush")
    send(stage)
    await stage.settle()

    assert (held, flushed, stage.receiver.bodies) == ([], {"released": 2}, ["0", "1"])
    assert (await stage.get("/_control/webhooks"))["under_way"] == 1


async def test_the_end_of_a_pause_releases_what_it_held(stage: Stage) -> None:
    """By PATCH, and by PUT of knobs without a pause."""
    await stage.turn(webhooks={"paused": True})
    send(stage)
    await stage.turn(webhooks={"paused": False})
    await stage.turn(webhooks={"paused": True})
    send(stage)
    await stage.client.put("/_control/knobs", json={})

    await stage.settle()

    assert stage.receiver.bodies == ["0", "0"]
