"""A webhook secret is rotated in Dots' dashboard while webhooks arrive."""

from tests.stack import dots
from tests.stack.gateway import Feed
from tests.stack.processes import running_stack

NEW_SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"


async def test_rotation_refuses_no_valid_webhook(database_url: str) -> None:
    """The old secret signs, then both, then the new one. The gateway has both and accepts every webhook."""
    both = f"{NEW_SECRET} {dots.WEBHOOK_SECRET}"
    async with running_stack(database_url, DOTS_WEBHOOK_SECRETS=both) as stack:
        flow = await stack.gateway.create("compliance", "id-verification", "payout")
        await stack.dots.onboard(flow["id"])
        await stack.dots.do(flow["id"], "compliance")
        await stack.dots.all_sent()
        await stack.dots.tell("webhook-secret/rotate", {"secret": NEW_SECRET, "overlap_seconds": 3600})
        await stack.dots.do(flow["id"], "id-verification")
        await stack.dots.all_sent()
        # As if the overlap were over: only the new secret signs.
        await stack.dots.send_webhooks_to(stack.apis[0].url, secret=NEW_SECRET)
        await stack.dots.do(flow["id"], "payout")
        await stack.dots.all_sent()

        reported = await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 6)

        assert reported[-1] == "flow.completed"
        attempts = await stack.dots.attempts()
        messages = (await stack.dots.ask("webhooks"))["webhooks"]
        assert {attempt["status"] for attempt in attempts} == {204}
        assert len(attempts) == len(messages) == 7


async def test_webhooks_signed_with_a_removed_secret_are_refused(database_url: str) -> None:
    """The gateway has only the new secret, and the old one signs."""
    async with running_stack(database_url, workers=0, DOTS_WEBHOOK_SECRETS=NEW_SECRET) as stack:
        await stack.dots.turn(webhooks={"speed": 1_000_000})
        await stack.dots.send(event="flow.updated", flow_id="x")

        await stack.dots.all_sent()

        assert [attempt["status"] for attempt in await stack.dots.attempts()] == [401] * 8
