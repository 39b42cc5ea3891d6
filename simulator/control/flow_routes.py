"""`/_control/flows`: be the payee without a browser."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from simulator.control import answers
from simulator.simulation import Simulation
from simulator.world import apps, flow_creation, flow_request, payee

# What a claim is called where steps are named.
ONBOARDING = "onboarding"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Completion(_Request):
    """How a step ends; a step that cannot end in several ways takes no notice."""

    verdict: str | None = Field(
        None, description="background-check: `cleared`, `flagged`, `pending` or a check status such as `consider`."
    )
    outcome: str | None = Field(None, description="id-verification: `verified` or `failed`.")


class NamedCompletion(Completion):
    """Which step ends, and how."""

    step: str


class Act(NamedCompletion):
    """What the payee of a flow does; the step `onboarding` claims a flow that nobody has."""

    flow_id: str


class Skip(_Request):
    """Which step Dots passes over."""

    step: str


class Claim(_Request):
    """Who claims the flow; without an id a new user."""

    user_id: str | None = None


def flow_router(simulation: Simulation) -> APIRouter:
    """The routes about flows."""
    router = APIRouter(prefix="/flows", tags=["flows"])

    @router.post("", status_code=201)
    async def create_flow(body: dict[str, Any]) -> dict[str, Any]:
        """Make a flow that the gateway did not ask for, such as a payout link.

        Takes the body of `POST /v2/flows`, `payout_link_id`, and `api_app_id` for a flow of another app.
        """
        request = flow_request.read(body, simulation.unknowns)
        flow = flow_creation.create(
            simulation.world,
            request,
            unknowns=simulation.unknowns,
            now=simulation.clock(),
            api_app_id=apps.of_header(body.get("api_app_id")),
            payout_link_id=body.get("payout_link_id"),
        )
        return answers.flow_answer(simulation, flow.id)

    @router.post("/complete")
    async def complete_many(acts: list[Act]) -> dict[str, Any]:
        """Let many payees act, one after the other, up to the first who cannot; each flow's user after it."""
        user_ids: list[str | None] = []
        for act in acts:
            if act.step == ONBOARDING and simulation.world.flow(act.flow_id).step_named(ONBOARDING) is None:
                _claim(simulation, act.flow_id, None)
            else:
                _complete(simulation, act.flow_id, act.step, act)
            user_ids.append(simulation.world.flow(act.flow_id).user_id)
        return {"user_ids": user_ids}

    @router.post("/{flow_id}/complete-next")
    async def complete_next(flow_id: str, how: Annotated[Completion | None, Body()] = None) -> dict[str, Any]:
        """Do the payee's next thing: claim the flow when nobody has, else finish its next step.

        `step` says what was done: `onboarding` for the claim, a step's name, or null when nothing is left.
        """
        flow = simulation.world.flow(flow_id)
        done: str | None = None
        if flow.user_id is None:
            _claim(simulation, flow_id, None)
            done = ONBOARDING
        elif flow.next_step is not None:
            done = flow.next_step.name
            _complete(simulation, flow_id, done, how or Completion())
        return {"flow": answers.flow_answer(simulation, flow_id), "step": done}

    _add_acts(router, simulation)
    return router


def _add_acts(router: APIRouter, simulation: Simulation) -> None:
    """The routes of single acts: complete a step, skip one, claim."""

    @router.post("/{flow_id}/complete")
    async def complete_step(flow_id: str, how: NamedCompletion) -> dict[str, Any]:
        """Finish the step named, in whatever order; 409 when the flow has no user yet or the step is done."""
        _complete(simulation, flow_id, how.step, how)
        return {"flow": answers.flow_answer(simulation, flow_id), "step": how.step}

    @router.post("/{flow_id}/skip")
    async def skip_step(flow_id: str, which: Skip) -> dict[str, Any]:
        """Pass over the step named, as Dots may; knobs say whether that shows in `completed_steps` or is told."""
        flow = simulation.world.flow(flow_id)
        webhook_events = payee.skip(
            simulation.world, flow, which.step, unknowns=simulation.unknowns, now=simulation.clock()
        )
        simulation.announce(webhook_events)
        return {"flow": answers.flow_answer(simulation, flow_id), "step": which.step}

    @router.post("/{flow_id}/claim")
    async def claim_flow(flow_id: str, who: Annotated[Claim | None, Body()] = None) -> dict[str, Any]:
        """Authenticate and onboard: sets the flow's user while `completed_steps` stays empty; 409 when it has one."""
        _claim(simulation, flow_id, who.user_id if who else None)
        return {"flow": answers.flow_answer(simulation, flow_id), "step": ONBOARDING}


def _complete(simulation: Simulation, flow_id: str, step: str, how: Completion) -> None:
    webhook_events = payee.complete(
        simulation.world,
        simulation.world.flow(flow_id),
        step,
        outcome=how.verdict if step == "background-check" else how.outcome,
        unknowns=simulation.unknowns,
        now=simulation.clock(),
    )
    simulation.announce(webhook_events)


def _claim(simulation: Simulation, flow_id: str, user_id: str | None) -> None:
    flow = simulation.world.flow(flow_id)
    simulation.announce(payee.claim(simulation.world, flow, user_id=user_id, now=simulation.clock()))
