"""Scenarios for undocumented behaviour of Dots. Each returns its end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from simulator.world import flow_creation, flow_request
from tests.journeys.one_process import OneProcess

THANKS = {"name": "redirect", "redirect_url": "https://example.com/thanks"}
STEPS = ("id-verification", "background-check", "payout", THANKS)
FOREIGN_APP = "9f1e2d3c-4b5a-4678-9abc-def012345678"
UNKNOWN_USER = "4b7d0f0a-2f3e-4f57-9c1e-0d6a3c1f7a21"
KEY = {"Idempotency-Key": "key-1"}
OLDER_FLOWS = 101
A_WHILE = timedelta(hours=3)


@dataclass(frozen=True, kw_only=True)
class End:
    """The end of a scenario: the events, and the state that a caller reads.

    `status` is the flow's status or the HTTP status of a refusal. `meanwhile` is the verdict before the check ends.
    """

    flow: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    status: str | int
    verdict: str = "none"
    meanwhile: str = ""
    passed_over: tuple[str, ...] = ()


Scenario = Callable[[OneProcess], Awaitable[End]]


async def walk(world: OneProcess) -> End:
    """A payee onboards and completes every step. The worker runs before and after the steps."""
    flow_id = await _create(world, *STEPS)
    await world.dots.onboard(flow_id)
    await world.work()
    await _do_the_rest(world, flow_id)
    await world.work()
    return await _end(world, flow_id)


async def walk_flagged(world: OneProcess) -> End:
    """A payee completes every step with a flagged check."""
    return await _walk_checked(world, "flagged")


async def walk_considered(world: OneProcess) -> End:
    """A payee completes every step with a check that needs a review."""
    return await _walk_checked(world, "consider")


async def wait_for_verdict(world: OneProcess) -> End:
    """A check is submitted, and is cleared days later."""
    flow_id = await _create(world, "background-check", user_id=await world.dots.add_user())
    await world.dots.do(flow_id, "background-check", verdict="pending")
    await world.work()
    await world.work(after=A_WHILE)
    meanwhile = await _end(world, flow_id)
    await world.dots.tell(f"users/{await _user_of(world, flow_id)}/verdict", {"status": "cleared"})
    await world.work(after=timedelta(days=2))
    return replace(await _end(world, flow_id), meanwhile=meanwhile.verdict)


async def walk_with_older_check(world: OneProcess) -> End:
    """A check is cleared. Dots shows the result of an older check and later leaves it out."""
    flow_id = await _create(world, *STEPS, user_id=await world.dots.add_user())
    await _do_the_rest(world, flow_id)
    await world.work()
    await world.dots.turn(unknowns={"sex_offender_check_status": "absent"})
    await world.dots.tell(f"users/{await _user_of(world, flow_id)}/verdict", {"status": "pass"})
    await world.work(after=A_WHILE)
    return await _end(world, flow_id)


async def skip_one(world: OneProcess) -> End:
    """Dots skips the second of three steps."""
    flow_id = await _create(world, "compliance", "payout", "manage-payouts")
    await world.dots.onboard(flow_id)
    await world.dots.do(flow_id, "compliance")
    await world.dots.tell(f"flows/{flow_id}/skip", {"step": "payout"})
    await world.work()
    await world.dots.do(flow_id, "manage-payouts")
    await world.work()
    return await _end(world, flow_id)


async def skip_the_last(world: OneProcess) -> End:
    """Dots skips the last step. A sweep finds it if no webhook reports it."""
    flow_id = await _create(world, "compliance", "payout")
    await world.dots.onboard(flow_id)
    await world.dots.do(flow_id, "compliance")
    await world.work()
    await world.dots.tell(f"flows/{flow_id}/skip", {"step": "payout"})
    await world.work()
    await world.work(after=A_WHILE)
    return await _end(world, flow_id)


async def merge(world: OneProcess) -> End:
    """While a check is pending, Dots merges the payee into another user, who then gets the verdict."""
    old_id, new_id = await world.dots.add_user(), await world.dots.add_user()
    flow_id = await _create(world, "background-check", user_id=old_id)
    await world.dots.do(flow_id, "background-check", verdict="pending")
    await world.work()
    await world.dots.tell(f"users/{old_id}/merge", {"into": new_id})
    await world.work()
    await world.dots.tell(f"users/{new_id}/verdict", {"status": "flagged"})
    await world.work(after=A_WHILE)
    end = await _end(world, flow_id)
    assert await _user_of(world, flow_id) == new_id
    assert await world.reported(f"user/{old_id}") == []
    return end


async def lose_an_answer(world: OneProcess) -> End:
    """The answer to a creation is lost. The gateway finds the flow in Dots' list, which has several pages."""
    request = flow_request.read({"steps": ["payout"]}, world.simulation.unknowns)
    for _ in range(OLDER_FLOWS):
        world.clock.advance(timedelta(seconds=1))
        flow_creation.create(world.simulation.world, request, unknowns=world.simulation.unknowns, now=world.clock())
    world.clock.advance(timedelta(days=1))
    await world.dots.turn(faults={"next_responses": [{"kind": "create_then_cut", "method": "POST"}]})
    lost = await world.gateway.post("/v1/flows", {"steps": list(STEPS)}, **KEY)
    assert lost.status_code == 504
    await world.work(after=timedelta(minutes=1))
    again = await world.gateway.post("/v1/flows", {"steps": list(STEPS)}, **KEY)
    assert again.status_code == 201, again.text
    flow_id = str(again.json()["id"])
    await world.dots.onboard(flow_id)
    await _do_the_rest(world, flow_id)
    await world.work()
    assert len(world.simulation.world.flows) == OLDER_FLOWS + 1
    return await _end(world, flow_id)


async def ask_for_an_unknown_step(world: OneProcess) -> End:
    """A caller requests an unknown step, and the payee completes it."""
    return await _try_to_walk(world, "dance")


async def ask_to_sign_up(world: OneProcess) -> End:
    """A caller requests a step that only the guide lists."""
    return await _try_to_walk(world, "onboard", user_id=await world.dots.add_user())


async def ask_for_a_new_domain(world: OneProcess) -> End:
    """A caller's redirect has a top-level domain that does not match the published pattern."""
    return await _try_to_walk(world, "payout", {"name": "redirect", "redirect_url": "https://a.technology/"})


async def ask_for_an_unknown_user(world: OneProcess) -> End:
    """A caller names a user that Dots does not have."""
    return await _try_to_walk(world, "payout", user_id=UNKNOWN_USER)


async def try_a_refused_request_again(world: OneProcess) -> End:
    """Dots refuses a creation. The caller repeats it with the same key when Dots would accept it."""
    body = {"steps": ["payout"], "user_id": UNKNOWN_USER}
    first = await world.gateway.post("/v1/flows", body, **KEY)
    assert first.is_error
    await world.dots.turn(unknowns={"unknown_user": "accepted"})
    world.clock.advance(timedelta(minutes=1))
    again = await world.gateway.post("/v1/flows", body, **KEY)
    return End(status=again.status_code)


async def send_the_most_metadata(world: OneProcess) -> End:
    """A caller sends the most metadata that the gateway accepts. Dots' limits leave room for the gateway's own."""
    full = {f"{number:040d}": "v" * 500 for number in range(49)}
    flow_id = await _create(world, "payout", metadata=full)
    text_id = await _create(world, "payout", metadata="t" * 500)
    read = [(await world.gateway.read(f"/v1/flows/{each}"))["metadata"] for each in (flow_id, text_id)]
    assert read == [full, "t" * 500]
    await world.dots.onboard(flow_id)
    await world.dots.do(flow_id, "payout")
    await world.work()
    return await _end(world, flow_id)


async def hear_of_foreign_subjects(world: OneProcess) -> End:
    """Webhooks name a flow and a user of another app. The app's own flow is not affected."""
    foreign_user = await world.dots.add_user(api_app_id=FOREIGN_APP)
    foreign = await world.dots.tell("flows", {"steps": ["payout"], "api_app_id": FOREIGN_APP})
    for name, values in (
        ("flow.updated", {"flow_id": foreign["id"]}),
        ("user.updated", {"user_id": foreign_user}),
    ):
        await world.dots.tell("webhooks/published", {"published_as": name, "values": values})
    await world.work()
    end = await walk(world)
    assert await world.reported(f"flow/{foreign['id']}") == []
    assert await world.reported(f"user/{foreign_user}") == []
    return end


async def lose_the_credentials(world: OneProcess) -> End:
    """Dots refuses the credentials for a while. The gateway pauses its calls, and nothing is lost."""
    flow_id = await _create(world, *STEPS)
    await world.dots.turn(faults={"lasting": ["unauthorized"]})
    await world.dots.onboard(flow_id)
    await world.work()
    calls = world.calls
    await _do_the_rest(world, flow_id)
    await world.work()
    assert world.calls == calls
    await world.dots.turn(faults={"lasting": []})
    await world.work(after=timedelta(minutes=20))
    await world.work(after=timedelta(minutes=20))
    return await _end(world, flow_id)


async def ask_too_often(world: OneProcess) -> End:
    """Dots limits calls per minute. The gateway waits and finds everything later."""
    flow_id = await _create(world, *STEPS)
    await world.dots.onboard(flow_id)
    await world.work()
    await _do_the_rest(world, flow_id)
    for _ in range(6):
        await world.work(after=timedelta(seconds=61))
        calls = world.calls
        await world.work()
        assert world.calls == calls
    return await _end(world, flow_id)


async def _create(world: OneProcess, *steps: Any, **fields: Any) -> str:
    return str((await world.gateway.create(*steps, **fields))["id"])


async def _walk_checked(world: OneProcess, verdict: str) -> End:
    flow_id = await _create(world, *STEPS)
    await world.dots.onboard(flow_id)
    await _do_the_rest(world, flow_id, verdict=verdict)
    await world.work()
    return await _end(world, flow_id)


async def _try_to_walk(world: OneProcess, *steps: Any, user_id: str | None = None) -> End:
    """Create a flow and complete it. If the creation is refused, the end has its status."""
    answer = await world.gateway.post("/v1/flows", {"steps": list(steps), "user_id": user_id})
    if answer.is_error:
        return End(status=answer.status_code)
    flow_id = str(answer.json()["id"])
    if user_id is None:
        await world.dots.onboard(flow_id)
    await _do_the_rest(world, flow_id)
    await world.work()
    return await _end(world, flow_id)


async def _do_the_rest(world: OneProcess, flow_id: str, *, verdict: str = "cleared") -> None:
    """Complete all remaining steps, including those that Dots added."""
    while (await world.dots.tell(f"flows/{flow_id}/complete-next", {"verdict": verdict}))["step"] is not None:
        pass


async def _user_of(world: OneProcess, flow_id: str) -> str:
    return str((await world.gateway.read(f"/v1/flows/{flow_id}"))["user_id"])


async def _end(world: OneProcess, flow_id: str) -> End:
    flow = await world.gateway.read(f"/v1/flows/{flow_id}")
    user = await world.gateway.get(f"/v1/users/{flow['user_id']}")
    return End(
        flow=tuple(await world.reported(f"flow/{flow_id}")),
        user=tuple(await world.reported(f"user/{flow['user_id']}")),
        status=flow["status"],
        verdict="none" if user.status_code == 404 else user.json()["background_check"]["verdict"],
        passed_over=tuple(step["name"] for step in flow["steps"] if step["state"] == "passed_over"),
    )
