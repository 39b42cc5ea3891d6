"""`/_control/webhooks/published`: send the webhook bodies that Dots' documentation shows."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from simulator import published
from simulator.simulation import Simulation


class PublishedWebhook(BaseModel):
    """The body to send and the values to put in."""

    model_config = ConfigDict(extra="forbid")

    published_as: str = Field(description="The name in the list.")
    variant: int = Field(0, ge=0, description="Index among the bodies of that name, from 0.")
    values: dict[str, Any] = Field(default_factory=dict, description="New values by key, at any depth.")


def published_router(simulation: Simulation) -> APIRouter:
    """The routes about published webhooks."""
    router = APIRouter(prefix="/webhooks/published", tags=["webhooks"])

    @router.get("")
    async def list_published() -> dict[str, Any]:
        """Every published webhook: its name, its body, and the flow or user it is about (null: neither)."""
        return {
            "webhooks": [
                {"published_as": each.published_as, "body": each.body, "subject": each.subject}
                for each in published.published_webhooks()
            ]
        }

    @router.post("", status_code=202)
    async def send_published(wanted: PublishedWebhook) -> dict[str, Any]:
        """Send one to every endpoint, correctly signed. The delivery knobs apply."""
        body = published.body(wanted.published_as, wanted.values, variant=wanted.variant)
        return {"message_ids": [message.id for message in simulation.sender.dispatch(body)]}

    return router
