"""Concurrent creations with one Idempotency-Key create one flow."""

import asyncio

from tests.stack.processes import running_stack

BODY = {"steps": ["compliance"], "reference": "payee-17"}


async def test_twenty_creations_with_one_key_create_one_flow(database_url: str) -> None:
    """The first request creates it. The others get 409 while it runs, and its answer afterwards."""
    async with running_stack(database_url, apis=2, workers=0) as stack:
        # Delay Dots' answer to the first request, so that the others arrive before it.
        slow = {"kind": "hang", "seconds": 1, "method": "POST"}
        await stack.dots.turn(faults={"next_responses": [slow]})

        answers = await asyncio.gather(
            *(stack.gateways[number % 2].post("/v1/flows", BODY, **{"Idempotency-Key": "one"}) for number in range(20))
        )
        late = await stack.gateway.post("/v1/flows", BODY, **{"Idempotency-Key": "one"})

        created = [answer for answer in answers if answer.status_code == 201]
        firsts = [answer for answer in created if "Idempotent-Replayed" not in answer.headers]
        refused = [answer for answer in answers if answer not in created]
        assert len(firsts) == 1
        assert {answer.status_code for answer in refused} == {409}
        assert {answer.json()["code"] for answer in refused} == {"creation_running"}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
        assert (late.status_code, late.headers["Idempotent-Replayed"]) == (201, "true")
        assert all(answer.json() == late.json() for answer in created)
        assert [flow["id"] for flow in (await stack.dots.ask("state"))["flows"]] == [late.json()["id"]]


async def test_a_key_with_another_body_is_refused(database_url: str) -> None:
    """The answer is 422, and Dots gets no second request."""
    async with running_stack(database_url, workers=0) as stack:
        await stack.gateway.post("/v1/flows", BODY, **{"Idempotency-Key": "one"})

        answer = await stack.gateway.post("/v1/flows", {"steps": ["payout"]}, **{"Idempotency-Key": "one"})

        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert len((await stack.dots.ask("state"))["flows"]) == 1
