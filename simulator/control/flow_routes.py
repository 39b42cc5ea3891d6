"""`/_control/flows`: act as the payee without a browser."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from simulator.control import answers
from simulator.simulation import Simulation
from simulator.world import apps, flow_creation, flow_request

# The step name that stands for a claim.
ONBOARDING = "onboarding"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Completion(_Request):
    """How a step ends. Steps with a single outcome ignore it."""

    verdict: str | None = Field(
        None, description="background-check: `cleared`, `flagged`, `pending` or a check status such as `consider`."
    )
    outcome: str | None = Field(None, description="id-verification: `verified` or `failed`.")


class NamedCompletion(Completion):
    """Which step ends, and how."""

    step: str


class Action(NamedCompletion):
    """One action of a flow's payee. The step `onboarding` claims an unclaimed flow."""

    flow_id: str


class Skip(_Request):
    """The step to skip."""

    step: str


class Claim(_Request):
    """The user who claims the flow. Without an id, a new user does."""

    user_id: str | None = None


def flow_router(simulation: Simulation) -> APIRouter:
    """The routes about flows."""
    router = APIRouter(prefix="/flows", tags=["flows"])

    @router.post("", status_code=201)
    async def create_flow(body: dict[str, Any]) -> dict[str, Any]:
        """Create a flow that the gateway did not request, such as a payout link.

        Takes the body of `POST /v2/flows`, plus `payout_link_id` and `api_app_id` (for a flow of another app).
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
    async def complete_many(actions: list[Action]) -> dict[str, Any]:
        """Perform actions in order, up to the first that fails. Returns each flow's user after its action."""
        user_ids: list[str | None] = []
        for action in actions:
            if action.step == ONBOARDING and simulation.world.flow(action.flow_id).step_named(ONBOARDING) is None:
                simulation.claim(simulation.world.flow(action.flow_id))
            else:
                _complete(simulation, action.flow_id, action.step, action)
            user_ids.append(simulation.world.flow(action.flow_id).user_id)
        return {"user_ids": user_ids}

    @router.post("/{flow_id}/complete-next")
    async def complete_next(flow_id: str, how: Annotated[Completion | None, Body()] = None) -> dict[str, Any]:
        """Perform the payee's next action: claim the flow, or finish its next step if it is claimed.

        `step` in the answer is `onboarding` for the claim, the step's name, or null when the flow is finished.
        """
        flow = simulation.world.flow(flow_id)
        done: str | None = None
        if flow.user_id is None:
            simulation.claim(flow)
            done = ONBOARDING
        elif flow.next_step is not None:
            done = flow.next_step.name
            _complete(simulation, flow_id, done, how or Completion())
        return {"flow": answers.flow_answer(simulation, flow_id), "step": done}

    _add_single_actions(router, simulation)
    return router


def _add_single_actions(router: APIRouter, simulation: Simulation) -> None:
    """The routes of single actions: complete a step, skip a step, claim a flow."""

    @router.post("/{flow_id}/complete")
    async def complete_step(flow_id: str, how: NamedCompletion) -> dict[str, Any]:
        """Finish the named step, in any order. 409 if the flow has no user yet or the step is done."""
        _complete(simulation, flow_id, how.step, how)
        return {"flow": answers.flow_answer(simulation, flow_id), "step": how.step}

    @router.post("/{flow_id}/skip")
    async def skip_step(flow_id: str, which: Skip) -> dict[str, Any]:
        """Skip the named step. Knobs decide whether `completed_steps` shows it and whether a webhook follows."""
        simulation.skip(simulation.world.flow(flow_id), which.step)
        return {"flow": answers.flow_answer(simulation, flow_id), "step": which.step}

    @router.post("/{flow_id}/claim")
    async def claim_flow(flow_id: str, who: Annotated[Claim | None, Body()] = None) -> dict[str, Any]:
        """Authenticate and onboard: set the flow's user and leave `completed_steps` empty. 409 if it has a user."""
        simulation.claim(simulation.world.flow(flow_id), who.user_id if who else None)
        return {"flow": answers.flow_answer(simulation, flow_id), "step": ONBOARDING}


def _complete(simulation: Simulation, flow_id: str, step: str, how: Completion) -> None:
    outcome = how.verdict if step == "background-check" else how.outcome
    simulation.complete(simulation.world.flow(flow_id), step, outcome)
