import json
from datetime import timedelta

import httpx
import pytest

from simulator.delivery.message import Message
from tests.simulator.setup import RECEIVER_URL, SECRET, Setup, is_signed_with

OTHER_SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"


def send(setup: Setup, count: int = 1) -> list[Message]:
    """Dispatch messages with the bodies 0, 1, …."""
    return [message for number in range(count) for message in setup.simulation.sender.dispatch(str(number).encode())]


async def test_a_failed_message_is_sent_again_with_its_id_and_new_signatures(setup: Setup) -> None:
    """On the schedule, until the receiver accepts it."""
    setup.receiver.answers = [httpx.Response(500), httpx.ConnectError("refused"), httpx.Response(200)]

    (message,) = send(setup)
    await setup.settle()

    requests = setup.receiver.requests
    assert setup.receiver.ids == [message.id] * 3
    assert len({request.headers["svix-timestamp"] for request in requests}) == 3
    assert all(is_signed_with(request, SECRET) for request in requests)
    assert [4 <= setup.clock.slept[0] <= 6, 240 <= setup.clock.slept[1] <= 360] == [True, True]
    assert setup.simulation.sender.log.states[message.id] == "delivered"


async def test_a_message_is_given_up_after_eight_attempts(setup: Setup) -> None:
    """The log has all attempts."""
    setup.receiver.answers = [httpx.Response(500) for _ in range(20)]

    send(setup)
    await setup.settle()

    deliveries = (await setup.get("/_control/deliveries"))["deliveries"]
    webhooks = (await setup.get("/_control/webhooks"))["webhooks"]
    assert [delivery["attempt"] for delivery in deliveries] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert 0.8 * 99305 <= sum(setup.clock.slept) <= 1.2 * 99305
    assert webhooks[0]["state"] == "given_up"


async def test_messages_can_be_listed_after_an_id(setup: Setup) -> None:
    """An unknown id lists all messages."""
    first, second, third = send(setup, 3)
    await setup.settle()

    listed = {
        after: [webhook["message_id"] for webhook in (await setup.get(f"/_control/webhooks?after={after}"))["webhooks"]]
        for after in (first.id, third.id, "msg_forgotten")
    }

    assert listed == {
        first.id: [second.id, third.id],
        third.id: [],
        "msg_forgotten": [first.id, second.id, third.id],
    }


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (httpx.Response(302, headers={"location": RECEIVER_URL}), 302, None),
        (httpx.Response(404), 404, None),
        (httpx.ReadError("reset"), None, "ReadError"),
        (None, None, "timeout"),
    ],
)
async def test_every_attempt_without_a_2xx_in_time_fails(
    setup: Setup, answer: httpx.Response | Exception | None, status: int | None, error: str | None
) -> None:
    """A redirect, an error, a broken connection, no answer in time."""
    await setup.turn(webhooks={"timeout_seconds": 0.01})
    setup.receiver.answers = [answer]

    (message,) = send(setup)
    await setup.settle()

    first, second = (await setup.get("/_control/deliveries"))["deliveries"]
    assert (first["status"], first["error"]) == (status, error)
    assert second["status"] == 204
    assert setup.receiver.ids == [message.id] * 2


async def test_retry_after_and_speed_change_the_wait(setup: Setup) -> None:
    """`Retry-After` lengthens the wait of 5 s to 77 s, and the speed divides it by 1000."""
    await setup.turn(webhooks={"speed": 1000})
    setup.receiver.answers = [httpx.Response(503, headers={"retry-after": "77"})]

    send(setup)
    await setup.settle()

    assert setup.clock.slept == [0.077]


async def test_the_log_has_one_entry_per_attempt(setup: Setup) -> None:
    """With the message, the endpoint, the outcome and the time."""
    (message,) = send(setup)
    await setup.settle()

    assert await setup.get("/_control/deliveries") == {
        "deliveries": [
            {
                "message_id": message.id,
                "endpoint": RECEIVER_URL,
                "attempt": 1,
                "status": 204,
                "error": None,
                "at": "2026-11-23T12:00:00Z",
            }
        ],
        "under_way": 0,
    }


async def test_each_endpoint_gets_its_own_message_id(setup: Setup) -> None:
    """Like the endpoints of an app and its organization. Each signs with its own secret."""
    endpoints = [{"url": RECEIVER_URL}, {"url": "http://receiver.test/organization", "secret": OTHER_SECRET}]
    await setup.client.put("/_control/webhook-endpoints", json=endpoints)

    send(setup)
    await setup.settle()

    signed = {
        str(item.url): (is_signed_with(item, SECRET), is_signed_with(item, OTHER_SECRET))
        for item in setup.receiver.requests
    }
    assert signed == {RECEIVER_URL: (True, False), "http://receiver.test/organization": (False, True)}
    assert len(set(setup.receiver.ids)) == 2


@pytest.mark.parametrize("secret", ["whsec_short", "nothing"])
async def test_an_endpoint_with_a_malformed_secret_is_refused(setup: Setup, secret: str) -> None:
    """The endpoints do not change."""
    response = await setup.client.put(
        "/_control/webhook-endpoints", json=[{"url": "http://elsewhere.test/", "secret": secret}]
    )

    assert response.status_code == 422
    assert [endpoint["url"] for endpoint in await setup.get("/_control/webhook-endpoints")] == [RECEIVER_URL]


async def test_messages_to_a_removed_endpoint_are_given_up(setup: Setup) -> None:
    """The endpoint is removed between two attempts."""
    setup.receiver.answers = [httpx.Response(500)]
    (message,) = send(setup)
    await setup.client.put("/_control/webhook-endpoints", json=[])

    await setup.settle()

    assert setup.simulation.sender.log.states[message.id] == "given_up"


async def test_after_a_rotation_both_secrets_sign_for_a_day(setup: Setup) -> None:
    """Then only the new one signs."""
    rotated = await setup.control("webhook-secret/rotate", {"secret": OTHER_SECRET})
    send(setup)
    await setup.settle()
    setup.clock.now += timedelta(hours=24)
    send(setup)
    await setup.settle()
    during, after = setup.receiver.requests

    assert rotated["secret"] == OTHER_SECRET
    assert (is_signed_with(during, OTHER_SECRET), is_signed_with(during, SECRET)) == (True, True)
    assert (is_signed_with(after, OTHER_SECRET), is_signed_with(after, SECRET)) == (True, False)


async def test_a_rotation_without_a_secret_creates_one(setup: Setup) -> None:
    """The answer has the new secret. An unknown endpoint is refused."""
    rotated = await setup.control("webhook-secret/rotate", {"overlap_seconds": 0})
    unknown = await setup.client.post("/_control/webhook-secret/rotate", json={"url": "http://nobody.test"})
    send(setup)
    await setup.settle()

    assert is_signed_with(setup.receiver.requests[0], rotated["secret"])
    assert not is_signed_with(setup.receiver.requests[0], SECRET)
    assert unknown.status_code == 409


async def test_a_410_disables_the_endpoint_until_it_is_set_again(setup: Setup) -> None:
    """A disabled endpoint gets no messages."""
    setup.receiver.answers = [httpx.Response(410)]
    send(setup)
    await setup.settle()

    while_disabled = send(setup)
    (endpoint,) = await setup.get("/_control/webhook-endpoints")
    await setup.client.put("/_control/webhook-endpoints", json=[{"url": RECEIVER_URL}])
    after = send(setup)
    await setup.settle()

    assert (while_disabled, endpoint["is_disabled"], len(after)) == ([], True, 1)


async def test_an_endpoint_that_fails_for_five_days_is_disabled(setup: Setup) -> None:
    """All its attempts fail in that time."""
    setup.receiver.answers = [httpx.Response(500) for _ in range(8 * 5 + 2)]
    for _ in range(5):
        send(setup)
        await setup.settle()
        setup.clock.now += timedelta(hours=1)

    (endpoint,) = await setup.get("/_control/webhook-endpoints")

    assert endpoint["is_disabled"] is True


async def test_any_body_can_be_sent_with_valid_signatures(setup: Setup) -> None:
    """As text or base64. Given headers override the signed ones."""
    body = '{"event": "\\u0000", "huge": 1e999}'
    await setup.control("webhooks", {"body": body})
    await setup.control("webhooks", {"body_base64": "/w==", "headers": {"Content-Type": "text/plain"}})
    await setup.control("webhooks", {"body": "x", "headers": {"svix-signature": "v1,wrong"}})
    await setup.settle()
    text, raw, forged = setup.receiver.requests

    assert (text.content.decode(), is_signed_with(text, SECRET)) == (body, True)
    assert (raw.content, raw.headers["content-type"]) == (b"\xff", "text/plain")
    assert forged.headers["svix-signature"] == "v1,wrong"
    assert (await setup.get("/_control/webhooks"))["webhooks"][1]["body_base64"] == "/w=="


@pytest.mark.parametrize("webhook", [{}, {"body": "a", "body_base64": "YQ=="}, {"body_base64": "!"}])
async def test_a_hand_made_webhook_needs_one_valid_body(setup: Setup, webhook: dict[str, str]) -> None:
    """Text or base64, exactly one of them."""
    response = await setup.client.post("/_control/webhooks", json=webhook)

    assert response.status_code == 400


async def test_without_an_endpoint_no_webhook_is_sent(setup: Setup) -> None:
    """The simulator works without a receiver."""
    await setup.client.put("/_control/webhook-endpoints", json=[])
    user = await setup.create_user()

    await setup.control(f"users/{user['id']}/id-verified")

    assert json.loads((await setup.client.get("/_control/webhooks")).text) == {"webhooks": [], "under_way": 0}
