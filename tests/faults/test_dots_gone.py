"""Dots is down, or refuses the gateway. Callers get an error, the service stays up, and it catches up later."""

from tests.stack import database
from tests.stack.gateway import Feed
from tests.stack.processes import Stack, running_stack
from tests.stack.waiting import eventually

BODY = {"steps": ["compliance"]}
HEADERS = {"Idempotency-Key": "one"}
PAUSED = 'dots_gateway_app_paused{app="default"} 1.0'
NOT_PAUSED = 'dots_gateway_app_paused{app="default"} 0.0'


async def test_creates_are_refused_while_dots_is_dead_and_work_again_after(database_url: str) -> None:
    """Callers get 503 with a code and Retry-After, and readiness stays. The same key makes the flow later."""
    async with running_stack(database_url, workers=0) as stack:
        simulator_port = stack.dots.url.rpartition(":")[2]
        await stack.simulators[0].kill()
        refused = await stack.gateway.post("/v1/flows", BODY, **HEADERS)
        ready = await stack.gateway.get("/readyz")
        feed_of_old = await stack.gateway.get("/v1/events")
        await stack.start_simulator(name="simulator-after", port=simulator_port)

        created = await stack.gateway.post("/v1/flows", BODY, **HEADERS)

        assert (refused.status_code, refused.json()["code"]) == (503, "dots_unreachable")
        assert int(refused.headers["Retry-After"]) > 0
        assert (ready.status_code, feed_of_old.status_code) == (200, 200)
        assert (created.status_code, created.json()["status"]) == (201, "open")


async def test_refused_credentials_pause_the_app_until_they_work_again(database_url: str) -> None:
    """The gateway does not call Dots while paused, as log and metrics say. Afterwards nothing is missing."""
    async with running_stack(database_url) as stack:
        flow = await stack.gateway.create("payout", user_id=await stack.dots.add_user())
        refuse_all = {"random_fault": {"kind": "unauthorized"}, "random_fault_probability": 1.0}
        await stack.dots.turn(faults=refuse_all)
        await stack.dots.do(flow["id"], "payout")
        await eventually(lambda: measures(stack, PAUSED))
        calls = await calls_of_dots(stack)
        await stack.dots.send(event="flow.updated", flow_id=flow["id"])
        await stack.dots.all_sent()
        calls_while_paused = await calls_of_dots(stack)
        await stack.dots.turn(faults={"random_fault_probability": 0.0})
        await end_pause(database_url)

        reported = await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 3)

        assert reported == ["flow.created", "flow.step_completed payout", "flow.completed"]
        assert calls_while_paused == calls
        assert '"error": "dots_credentials"' in stack.logs.text("worker-1")
        assert await stack.logs.hear("worker-1", "dots accepts the credentials again")
        assert await measures(stack, NOT_PAUSED)


async def measures(stack: Stack, line: str) -> bool:
    """Whether the metrics have this line now."""
    return line in (await stack.gateway.get("/metrics")).text.splitlines()


async def calls_of_dots(stack: Stack) -> int:
    """How many calls Dots has had."""
    return len((await stack.dots.ask("api-calls"))["api_calls"])


async def end_pause(database_url: str) -> None:
    """End the pause in the database, so that the test does not wait for it."""
    async with database.connected(database_url) as connection:
        await connection.execute("UPDATE apps SET paused_until = now()")
