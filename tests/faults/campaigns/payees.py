"""Payees who complete flows at the simulator, one random step after the other, and Dots' webhooks about them."""

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from tests.faults.campaigns.fleet import Fleet
from tests.faults.campaigns.history import Asked, Decided
from tests.stack.waiting import eventually

CREATING_AT_ONCE = 8
KNOWN_STEPS = ("compliance", "id-verification", "background-check", "manage-payments", "manage-payouts", "payout")
CLAIM, VERDICT = "onboarding", "(verdict)"


@dataclass(kw_only=True)
class Walk:
    """One flow, and what its payee still has to do."""

    flow_id: str
    actions: deque[str]
    user_id: str | None = None
    verdict: str = "cleared"


@dataclass(kw_only=True)
class Payees:
    """All flows of a campaign, created through the gateway. At most `busy_at_once` are in progress at a time."""

    fleet: Fleet
    dice: Random
    further_steps: int = 0
    busy_at_once: int | None = None
    created: int = 0
    walks: list[Walk] = field(default_factory=list)
    _last_message: str | None = None
    _users: list[str] = field(default_factory=list)

    async def create(self, count: int) -> None:
        """Create flows, some for an existing user, and several for the same one."""
        numbers = iter(range(self.created, self.created + count))
        self.created += count

        async def create_on() -> None:
            for number in numbers:
                self.walks.append(await self._create(number))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CREATING_AT_ONCE):
                tasks.create_task(create_on())

    @property
    def actions_left(self) -> int:
        """How many actions are left."""
        return sum(len(walk.actions) for walk in self.walks)

    async def act(self, times: int = 1) -> None:
        """Let this many random payees do their next action."""
        chosen: list[tuple[Walk, str]] = []
        for _ in range(times):
            busy = [walk for walk in self.walks if walk.actions]
            if not busy:
                break
            walk = self.dice.choice(busy[: self.busy_at_once])
            chosen.append((walk, walk.actions.popleft()))
        for is_verdict, acts in itertools.groupby(chosen, key=lambda act: act[1] == VERDICT):
            if is_verdict:
                for walk, _ in acts:
                    await self.decide(walk.user_id or "", self.dice.choice(("cleared", "flagged")))
            else:
                await self._walk_on(list(acts))

    async def new_messages(self) -> list[tuple[str, str]]:
        """Ids and bodies of the webhooks that Dots made since the last call."""
        asked = f"webhooks?after={self._last_message}" if self._last_message else "webhooks"
        fresh = [(each["message_id"], each["body"]) for each in (await self.fleet.dots.ask(asked))["webhooks"]]
        if fresh:
            self._last_message = fresh[-1][0]
        return fresh

    async def _create(self, number: int) -> Walk:
        steps = list(KNOWN_STEPS) + [f"form-{each}" for each in range(self.further_steps)]
        self.dice.shuffle(steps)
        user_id = await self._some_user() if self.dice.random() < 0.4 else None  # four in ten
        body = {"steps": steps, "reference": f"payee-{number}", "user_id": user_id}
        key = f"key-{number}"
        flow = await post_flow(self.fleet, self.dice, key, body)
        actions = deque(steps if user_id else [CLAIM, *steps])
        # Some verdicts come with the step, others later.
        verdict = self.dice.choice(("cleared", "cleared", "flagged", "pending"))
        if verdict == "pending":
            actions.append(VERDICT)
        return Walk(flow_id=flow["id"], actions=actions, user_id=user_id, verdict=verdict)

    async def _some_user(self) -> str:
        if not self._users or self.dice.random() < 0.7:  # three in ten have a flow already
            self._users.append(await self.fleet.dots.add_user())
        return self.dice.choice(self._users)

    async def _walk_on(self, acts: Sequence[tuple[Walk, str]]) -> None:
        users = await self.fleet.dots.do_all(
            (walk.flow_id, step, walk.verdict if step == "background-check" else None) for walk, step in acts
        )
        for (walk, step), user_id in zip(acts, users, strict=True):
            walk.user_id = user_id
            if step == "background-check" and walk.verdict != "pending":
                self.fleet.history.note(Decided(user_id=user_id, verdict=walk.verdict))

    async def decide(self, user_id: str, verdict: str) -> None:
        """Let Dots settle a background check."""
        await self.fleet.dots.tell(f"users/{user_id}/verdict", {"status": verdict})
        self.fleet.history.note(Decided(user_id=user_id, verdict=verdict))


async def post_flow(fleet: Fleet, dice: Random, key: str, body: dict[str, Any]) -> dict[str, Any]:
    """Create a flow, again with the same key until there is an answer that is final."""

    async def created() -> dict[str, Any] | None:
        return await try_flow(fleet, dice.choice(fleet.api_urls), key, body)

    flow = await eventually(created, within=60.0)
    if flow is None:
        raise RuntimeError(f"no flow for {key}")
    return flow


async def try_flow(fleet: Fleet, url: str, key: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Ask once for a flow; None if the request must be repeated. Records the answer in the history."""
    headers = {"Authorization": f"Bearer {fleet.key}", "Idempotency-Key": key}
    has_user = body.get("user_id") is not None
    status, content, flow = None, {}, None
    try:
        answer = await fleet.client.post(f"{url}/v1/flows", json=body, headers=headers)
        status, content = answer.status_code, dict(answer.json())
        flow = content if answer.is_success else None
    except httpx.TransportError:
        pass
    fleet.history.note(
        Asked(
            key=key,
            status=status,
            flow_id=flow["id"] if flow else None,
            has_user=has_user,
            error_code=content.get("dots_error_code"),
        )
    )
    return flow
