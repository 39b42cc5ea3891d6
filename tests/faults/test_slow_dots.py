"""Dots is slow to answer, and the payee does more meanwhile."""

from tests.stack.gateway import Feed
from tests.stack.processes import running_stack


async def test_a_step_done_while_dots_is_being_asked_is_not_overlooked(database_url: str) -> None:
    """The webhook of a step comes while an older answer is in flight, so Dots is asked again."""
    async with running_stack(database_url) as stack:
        form = {"name": "pdf-form-fill", "template_id": "contract"}
        flow = await stack.gateway.create("payout", form, user_id=await stack.dots.add_user())
        slow = {"kind": "hang", "seconds": 2, "path_contains": flow["id"]}
        await stack.dots.turn(faults={"next_responses": [slow]})
        await stack.dots.do(flow["id"], "payout")
        await stack.dots.hanging_call(flow["id"])
        await stack.dots.do(flow["id"], "pdf-form-fill")
        await stack.dots.all_sent()
        hanging = [call for call in (await stack.dots.ask("api-calls"))["api_calls"] if call["fault"] == "hang"]

        reported = await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 4)

        assert [call["status"] for call in hanging] == [None]
        assert reported == [
            "flow.created",
            "flow.step_completed payout",
            "flow.step_completed pdf-form-fill",
            "flow.completed",
        ]


async def test_a_hanging_answer_about_one_flow_holds_up_no_other(database_url: str) -> None:
    """One refresh waits for Dots. The events of other flows arrive meanwhile."""
    async with running_stack(database_url) as stack:
        stuck, other = [await stack.gateway.create("payout", user_id=await stack.dots.add_user()) for _ in range(2)]
        slow = {"kind": "hang", "seconds": 60, "path_contains": stuck["id"]}
        await stack.dots.turn(faults={"next_responses": [slow]})
        await stack.dots.do(stuck["id"], "payout")
        await stack.dots.hanging_call(stuck["id"])
        await stack.dots.do(other["id"], "payout")

        reported = await Feed(stack.gateway).until_reported(f"flow/{other['id']}", 3)

        assert reported[-1] == "flow.completed"
        calls = (await stack.dots.ask("api-calls"))["api_calls"]
        assert [call["status"] for call in calls if call["fault"] == "hang"] == [None]
        # At SIGTERM it would wait for Dots' answer.
        await stack.workers[0].kill()
