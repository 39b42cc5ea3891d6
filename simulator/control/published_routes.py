"""`/_control/webhooks/published`: send any webhook as Dots publishes it."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from simulator import published
from simulator.simulation import Simulation


class PublishedWebhook(BaseModel):
    """Which shape to send, and the ids to put in."""

    model_config = ConfigDict(extra="forbid")

    published_as: str = Field(description="The name, as the list has it.")
    variant: int = Field(0, ge=0, description="Which of the shapes of that name, from 0.")
    values: dict[str, Any] = Field(default_factory=dict, description="New values by key, at any depth.")


def published_router(simulation: Simulation) -> APIRouter:
    """The routes about published shapes."""
    router = APIRouter(prefix="/webhooks/published", tags=["webhooks"])

    @router.get("")
    async def list_shapes() -> dict[str, Any]:
        """Every published shape: name, body, and what a receiver has to look at (null: nothing)."""
        return {
            "webhooks": [
                {"published_as": each.published_as, "body": each.body, "subject": each.subject}
                for each in published.published_webhooks()
            ]
        }

    @router.post("", status_code=202)
    async def send_shape(wanted: PublishedWebhook) -> dict[str, Any]:
        """Send one of them to every endpoint, with good signatures (and the delivery knobs in force)."""
        body = published.body(wanted.published_as, wanted.values, variant=wanted.variant)
        return {"message_ids": [message.id for message in simulation.sender.dispatch(body)]}

    return router
