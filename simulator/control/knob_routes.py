"""`/_control/knobs`: turn the knobs."""

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import ValidationError

from simulator.knobs import Knobs
from simulator.simulation import Simulation


def knob_router(simulation: Simulation) -> APIRouter:
    """The routes about knobs."""
    router = APIRouter(tags=["knobs"])
    panel = simulation.panel

    def end_of_pause() -> None:
        if not panel.current.webhooks.paused:
            simulation.sender.flush()

    @router.get("/knobs")
    async def get_knobs() -> Knobs:
        """All knobs as they stand, the fault queue as far as it is not used up."""
        return panel.current

    @router.put("/knobs")
    async def replace_knobs(knobs: Knobs) -> Knobs:
        """Set every knob; one that is not named gets its default. The end of a pause releases what it held."""
        panel.replace(knobs)
        end_of_pause()
        return panel.current

    @router.patch("/knobs")
    async def turn_knobs(changes: dict[str, Any]) -> Knobs:
        """Set the knobs named, nested as `GET` shows them, and leave the others: `{"webhooks": {"drop": 0.2}}`."""
        try:
            panel.merge(changes)
        except ValidationError as failure:
            raise HTTPException(422, failure.errors(include_context=False, include_url=False)) from failure
        end_of_pause()
        return panel.current

    return router
