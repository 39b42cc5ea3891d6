import json

import pytest

from tests.simulator.setup import SECRET, Setup, is_signed_with

USER, OTHER = "user-1", "user-2"


async def test_every_published_body_is_sent_with_valid_signatures(setup: Setup) -> None:
    """Without new values the body equals the one in the list, which names the flow or user it is about."""
    listed = (await setup.get("/_control/webhooks/published"))["webhooks"]
    seen: dict[str, int] = {}
    for each in listed:
        name = each["published_as"]
        variant = seen[name] = seen.get(name, -1) + 1
        await setup.control("webhooks/published", {"published_as": name, "variant": variant})
        await setup.settle()

    assert len(listed) == 19
    assert [json.loads(body) for body in setup.receiver.bodies] == [each["body"] for each in listed]
    assert {(each["subject"] or "nothing")[:4] for each in listed} == {"flow", "user", "noth"}
    assert all(is_signed_with(request, SECRET) for request in setup.receiver.requests)


async def test_new_values_replace_keys_at_any_depth(setup: Setup) -> None:
    """Other values stay as published."""
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
async def test_a_merge_has_two_published_bodies(setup: Setup, variant: int, keys: set[str]) -> None:
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
async def test_an_unknown_name_variant_or_key_is_refused(setup: Setup, wanted: dict[str, object], status: int) -> None:
    """No webhook is sent."""
    response = await setup.client.post("/_control/webhooks/published", json=wanted)

    await setup.settle()
    assert (response.status_code, setup.receiver.requests) == (status, [])
