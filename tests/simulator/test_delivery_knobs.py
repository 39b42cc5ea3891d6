"""What the knobs do to deliveries: doubled, dropped, delayed, shuffled, held."""

from simulator.delivery.message import Message
from tests.simulator.setup import Setup

OTHER_SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"


def send(setup: Setup, count: int = 1) -> list[Message]:
    """Dispatch messages with the bodies 0, 1, …."""
    return [message for number in range(count) for message in setup.simulation.sender.dispatch(str(number).encode())]


async def test_doubled_messages_come_twice_under_one_id(setup: Setup) -> None:
    """The knob is a chance; 1 is always."""
    await setup.turn(webhooks={"duplicate": 1})

    (message,) = send(setup)
    await setup.settle()

    assert setup.receiver.ids == [message.id] * 2


async def test_dropped_messages_never_come_but_can_be_resent(setup: Setup) -> None:
    """As by hand in Svix' dashboard, under the same id."""
    await setup.turn(webhooks={"drop": 1})
    (message,) = send(setup)
    await setup.settle()
    assert setup.receiver.requests == []

    await setup.control(f"webhooks/{message.id}/resend")
    await setup.settle()

    assert setup.receiver.ids == [message.id]


async def test_nothing_unknown_can_be_resent(setup: Setup) -> None:
    """404 for an id that was never sent."""
    response = await setup.client.post("/_control/webhooks/msg_nothing/resend")

    assert response.status_code == 404


async def test_delayed_messages_wait_before_their_first_attempt(setup: Setup) -> None:
    """In real seconds, whatever the speed."""
    await setup.turn(webhooks={"delay_seconds": 3, "speed": 100})

    send(setup)
    await setup.settle()

    assert setup.clock.slept == [3.0]


async def test_shuffled_messages_wait_at_random_within_the_window(setup: Setup) -> None:
    """Each its own time, so that later ones can come first."""
    await setup.turn(seed=7, webhooks={"shuffle_seconds": 10})

    send(setup, 20)
    await setup.settle()

    assert len(set(setup.clock.slept)) == 20
    assert 0 <= min(setup.clock.slept) < max(setup.clock.slept) <= 10
    assert setup.clock.slept != sorted(setup.clock.slept)


async def test_a_pause_holds_messages_until_a_flush(setup: Setup) -> None:
    """And goes on for later ones."""
    await setup.turn(webhooks={"paused": True})
    send(setup, 2)
    await setup.settle()
    held = list(setup.receiver.requests)

    flushed = await setup.control("webhooks/flush")
    send(setup)
    await setup.settle()

    assert (held, flushed, setup.receiver.bodies) == ([], {"released": 2}, ["0", "1"])
    assert (await setup.get("/_control/webhooks"))["under_way"] == 1


async def test_the_end_of_a_pause_releases_what_it_held(setup: Setup) -> None:
    """By PATCH, and by PUT of knobs without a pause."""
    await setup.turn(webhooks={"paused": True})
    send(setup)
    await setup.turn(webhooks={"paused": False})
    await setup.turn(webhooks={"paused": True})
    send(setup)
    await setup.client.put("/_control/knobs", json={})

    await setup.settle()

    assert setup.receiver.bodies == ["0", "0"]
