import json

import pytest

from simulator import published
from tests.simulator.setup import SECRET, Setup, is_signed_with

USER, OTHER = "user-1", "user-2"


async def test_every_published_shape_is_sent_with_good_signatures(setup: Setup) -> None:
    """Byte for byte what the list shows, as long as no ids are chosen."""
    listed = (await setup.get("/_control/webhooks/published"))["webhooks"]
    seen: dict[str, int] = {}
    for published_webhook in listed:
        name = published_webhook["published_as"]
        variant = seen[name] = seen.get(name, -1) + 1
        await setup.control("webhooks/published", {"published_as": name, "variant": variant})
        await setup.settle()

    assert len(listed) == 19
    assert [json.loads(body) for body in setup.receiver.bodies] == [
        published_webhook["body"] for published_webhook in listed
    ]
    assert all(is_signed_with(request, SECRET) for request in setup.receiver.requests)


async def test_ids_of_ones_own_are_put_in_at_any_depth(setup: Setup) -> None:
    """The rest stays as published."""
    values = {"user_id": USER, "transfer_id": "transfer-1"}

    await setup.control("webhooks/published", {"published_as": "transfer.completed", "values": values})

    await setup.settle()
    body = json.loads(setup.receiver.bodies[0])
    assert (body["transfer_id"], body["transfer"]["user_id"], body["transfer"]["type"]) == (
        "transfer-1",
        USER,
        "refill",
    )


@pytest.mark.parametrize(
    ("variant", "keys"),
    [(0, {"old_user_id", "new_user_id"}), (1, {"event", "user_id", "old_user_id", "new_user_id"})],
)
async def test_a_merge_is_published_in_two_ways(setup: Setup, variant: int, keys: set[str]) -> None:
    """With and without `event` and `user_id`."""
    wanted = {"published_as": "user.updated.user_merged", "variant": variant}

    await setup.control("webhooks/published", {**wanted, "values": {"old_user_id": USER, "new_user_id": OTHER}})

    await setup.settle()
    body = json.loads(setup.receiver.bodies[0])
    assert body.keys() == keys
    assert (body["old_user_id"], body["new_user_id"]) == (USER, OTHER)


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"published_as": "flow.invented"}, 404),
        ({"published_as": "flow.updated", "variant": 1}, 404),
        ({"published_as": "flow.updated", "values": {"user_id": USER}}, 400),
        ({"published_as": "flow.updated", "ids": {}}, 422),
    ],
)
async def test_what_is_not_published_is_refused(setup: Setup, wanted: dict[str, object], status: int) -> None:
    """A shape, a variant or a key that there is not; nothing is sent."""
    response = await setup.client.post("/_control/webhooks/published", json=wanted)

    await setup.settle()
    assert (response.status_code, setup.receiver.requests) == (status, [])


def test_every_shape_says_what_a_receiver_has_to_look_at() -> None:
    """A flow, a user or nothing."""
    kinds = {(published_webhook.subject or "nothing")[:4] for published_webhook in published.published_webhooks()}

    assert kinds == {"flow", "user", "noth"}
