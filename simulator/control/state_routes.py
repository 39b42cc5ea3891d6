"""`/_control` routes about the whole simulator: state, API call log, reset and health."""

from typing import Any

from fastapi import APIRouter

from simulator import dots_json
from simulator.control import answers
from simulator.simulation import Simulation


def state_router(simulation: Simulation) -> APIRouter:
    """The routes about state."""
    router = APIRouter(tags=["state"])

    @router.get("/state")
    async def get_state() -> dict[str, Any]:
        """All flows and users as the simulated Dots API returns them, oldest first. Tests compare with this."""
        world, unknowns = simulation.world, simulation.unknowns
        return {
            "flows": [answers.flow_answer(simulation, flow_id) for flow_id in world.flows],
            "users": [dots_json.user_object(user, unknowns) for user in world.users.values()],
        }

    @router.get("/api-calls")
    async def list_api_calls() -> dict[str, Any]:
        """Every call of the Dots API, oldest first, logged on arrival. Status null: no answer yet, or a cut."""
        return {"api_calls": [answers.api_call_answer(call) for call in simulation.api_calls]}

    @router.post("/reset")
    async def reset() -> dict[str, bool]:
        """Delete flows, users, logs and deliveries. Restore the initial knobs and endpoints."""
        await simulation.reset()
        return {"ok": True}

    @router.get("/healthz")
    async def healthz() -> dict[str, bool]:
        """Whether the simulator answers."""
        return {"ok": True}

    return router
