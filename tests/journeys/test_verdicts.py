"""Verdicts of background checks arrive late and can be reversed."""

from tests.stack import database
from tests.stack.gateway import Feed
from tests.stack.processes import Stack, running_stack


async def test_verdict_can_come_after_its_step_and_be_reversed(database_url: str) -> None:
    """A completed check is only submitted. It can need a review first. A reversal names the previous verdict."""
    async with running_stack(database_url) as stack:
        user_id = await stack.dots.add_user()
        flow = await stack.gateway.create("background-check", user_id=user_id)
        feed = Feed(stack.gateway)
        await stack.dots.walk(flow, verdict="pending")
        reported = await feed.until_reported(f"flow/{flow['id']}", 3)
        waiting = await verdict_of(stack, user_id)
        await stack.dots.tell(f"users/{user_id}/verdict", {"status": "consider"})
        await feed.until_reported(f"user/{user_id}", 1)
        reviewed = await verdict_of(stack, user_id)
        await stack.dots.tell(f"users/{user_id}/verdict", {"status": "flagged"})
        await feed.until_reported(f"user/{user_id}", 2)
        flagged = await verdict_of(stack, user_id)
        await stack.dots.tell(f"users/{user_id}/verdict", {"status": "cleared"})

        await feed.until_reported(f"user/{user_id}", 3)

        verdicts = (waiting, reviewed, flagged, await verdict_of(stack, user_id))
        assert reported == ["flow.created", "flow.step_completed background-check", "flow.completed"]
        assert verdicts == ("pending", "needs_review", "flagged", "cleared")
        always = {"user_id": user_id, "flows": [{"flow_id": flow["id"], "reference": flow["reference"]}]}
        events = [event for event in feed.events if event["subject"] == f"user/{user_id}"]
        assert [(event["sequence"], event["type"], event["data"]) for event in events] == [
            ("1", "dots.background_check.needs_review", {**always, "check_status": "consider", "previous": None}),
            ("2", "dots.background_check.flagged", {**always, "previous": None}),
            ("3", "dots.background_check.cleared", {**always, "previous": "flagged"}),
        ]


async def test_polling_finds_a_verdict_without_a_webhook(database_url: str) -> None:
    """The webhook of the verdict is lost. The gateway polls a pending verdict."""
    polls = ",".join(str(age) for age in range(1, 61))
    async with running_stack(database_url, VERDICT_POLL_SECONDS=polls) as stack:
        user_id = await stack.dots.add_user()
        flow = await stack.gateway.create("background-check", user_id=user_id)
        feed = Feed(stack.gateway)
        await stack.dots.walk(flow, verdict="pending")
        await feed.until_reported(f"flow/{flow['id']}", 3)
        await stack.dots.all_sent()
        await database.all_handled(database_url)
        await stack.dots.turn(webhooks={"drop": 1.0})
        await stack.dots.tell(f"users/{user_id}/verdict", {"status": "flagged"})

        reported = await feed.until_reported(f"user/{user_id}", 1)

        assert reported == ["background_check.flagged"]
        found_by = "SELECT due_by FROM refreshes WHERE kind = 'user' AND outcome = 'changed'"
        assert await database.column(database_url, found_by) == ["sweep"]


async def verdict_of(stack: Stack, user_id: str) -> str:
    """The verdict that a caller reads."""
    return str((await stack.gateway.read(f"/v1/users/{user_id}"))["background_check"]["verdict"])
