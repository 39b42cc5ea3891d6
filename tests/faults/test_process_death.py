"""Killed processes: acknowledged webhooks are stored, and other processes finish their work."""

import asyncio

from tests.stack import database
from tests.stack.dots import Dots
from tests.stack.gateway import Feed, timeline
from tests.stack.processes import running_stack
from tests.stack.waiting import eventually

STORM = 400


async def test_worker_killed_between_fetch_and_apply_is_replaced_after_its_lease(database_url: str) -> None:
    """A worker is killed after Dots' answer. Another asks Dots again, but only after the lease has expired."""
    async with running_stack(database_url) as stack:
        user_id = await stack.dots.add_user()
        flow, other = [await stack.gateway.create("payout", "compliance", user_id=user_id) for _ in range(2)]
        await stack.dots.turn(faults={"next_responses": [{"kind": "hang", "seconds": 60, "path_contains": flow["id"]}]})
        await stack.dots.do(flow["id"], "payout")
        await stack.dots.hanging_call(flow["id"])
        await stack.workers[0].kill()
        await stack.start_worker(name="worker-after")
        feed = Feed(stack.gateway)
        await stack.dots.do(other["id"], "payout")
        reported_for_other = await feed.until_reported(f"flow/{other['id']}", 2)
        reported_meanwhile = timeline(feed.events, f"flow/{flow['id']}")
        await end_leases(database_url)

        reported = await feed.until_reported(f"flow/{flow['id']}", 2)

        assert reported_for_other == ["flow.created", "flow.step_completed payout"]
        assert reported_meanwhile == ["flow.created"]
        assert reported == ["flow.created", "flow.step_completed payout"]
        steps = (await stack.gateway.read(f"/v1/flows/{flow['id']}"))["steps"]
        assert (steps[0]["state"], steps[0]["discovered_by"]) == ("completed", "webhook")


async def test_api_killed_in_a_storm_of_webhooks_loses_none_it_has_acknowledged(database_url: str) -> None:
    """Every webhook with a 2xx is in the database. Svix sends the others to the next api. None is stored twice."""
    async with running_stack(database_url, workers=0) as stack:
        await stack.dots.turn(webhooks={"shuffle_seconds": 2.0, "speed": 50.0, "duplicate": 0.2})
        sent = await send_storm(stack.dots)
        await eventually(lambda: at_least(stack.dots, STORM // 8))
        # The worst moment: webhooks have arrived, and their commit is still open.
        async with database.nothing_commits(database_url, "webhooks"):
            sent |= await send_storm(stack.dots)  # the first one may be over by now
            await database.somebody_waits(database_url)
            await stack.apis[0].kill()
        acknowledged = await stack.dots.acknowledged()
        stored = await stored_messages(database_url)
        await stack.start_api(name="api-after", port=stack.apis[0].port)
        await stack.dots.all_sent(within=60)

        assert STORM // 8 <= len(acknowledged) < len(sent)
        assert acknowledged <= set(stored)
        assert await stack.dots.acknowledged() == sent
        assert sorted(await stored_messages(database_url)) == sorted(sent)
        repeats = "SELECT count(*) FROM webhooks WHERE received_count > 1"
        assert (await database.column(database_url, repeats))[0] > 0


async def send_storm(dots: Dots) -> set[str]:
    """Send many webhooks at once. Returns their message ids."""
    return set(await asyncio.gather(*(dots.send(event="transfer.updated", transfer_id="t") for _ in range(STORM))))


async def at_least(dots: Dots, count: int) -> bool:
    """Whether this many messages were answered with 2xx."""
    return len(await dots.acknowledged()) >= count


async def stored_messages(database_url: str) -> list[str]:
    """The ids of the webhooks in the database."""
    return await database.column(database_url, "SELECT message_id FROM webhooks")


async def end_leases(database_url: str) -> None:
    """End every lease in the database, so that the test does not wait for it."""
    async with database.connected(database_url) as connection:
        status = await connection.execute("UPDATE sync_rows SET lease_until = now() WHERE lease_until > now()")
    assert status == "UPDATE 1", status
