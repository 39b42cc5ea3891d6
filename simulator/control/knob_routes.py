"""`/_control/knobs`: read and change the knobs."""

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import ValidationError

from simulator.knobs import Knobs
from simulator.simulation import Simulation


def knob_router(simulation: Simulation) -> APIRouter:
    """The routes about knobs."""
    router = APIRouter(tags=["knobs"])
    panel = simulation.panel

    def flush_unless_paused() -> None:
        if not panel.current.webhooks.paused:
            simulation.sender.flush()

    @router.get("/knobs")
    async def get_knobs() -> Knobs:
        """All knobs, with the faults that are still queued."""
        return panel.current

    @router.put("/knobs")
    async def replace_knobs(knobs: Knobs) -> Knobs:
        """Set every knob; a missing one gets its default. Ending a pause sends the held messages."""
        panel.replace(knobs)
        flush_unless_paused()
        return panel.current

    @router.patch("/knobs")
    async def turn_knobs(changes: dict[str, Any]) -> Knobs:
        """Set some knobs, nested as `GET` shows them, and keep the others: `{"webhooks": {"drop": 0.2}}`."""
        try:
            panel.merge(changes)
        except ValidationError as failure:
            raise HTTPException(422, failure.errors(include_context=False, include_url=False)) from failure
        flush_unless_paused()
        return panel.current

    return router
