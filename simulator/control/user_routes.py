"""`/_control/users`: change a payee outside a flow."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from simulator.control import answers
from simulator.simulation import Simulation
from simulator.world import apps, user_changes, verdict
from simulator.world.user import UserStatus


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewUser(_Request):
    """A user to create. With `verdict`, a verdict word or a check status, the user has a background check."""

    status: UserStatus = "verified"
    id_verified: bool = False
    verdict: str | None = None
    metadata: Any = None
    api_app_id: str | None = Field(None, description="The user's app; absent: the simulator's own.")


class NewVerdict(_Request):
    """The new state of a background check."""

    status: str = Field(description="`pass`, `failed`, `consider`, … or `cleared`, `flagged`, `pending`.")
    has_criminal_activity: bool | None = Field(
        None, description="The flag; absent: it follows from the status. An explicit null: not decided."
    )


class IdVerification(_Request):
    """The new state of the identity check."""

    id_verified: bool = True


class Merge(_Request):
    """The id of the user that stays."""

    into: str


def user_router(simulation: Simulation) -> APIRouter:
    """The routes about users. All except the creation send the webhook that Dots would send."""
    router = APIRouter(prefix="/users", tags=["users"])
    world = simulation.world

    @router.post("", status_code=201)
    async def create_user(new: Annotated[NewUser | None, Body()] = None) -> dict[str, Any]:
        """Create a user, `verified` by default. Sends no webhook."""
        wanted = new or NewUser()
        app_id = apps.of_header(wanted.api_app_id)
        user = world.invent_user(status=wanted.status, now=simulation.clock(), api_app_id=app_id)
        check = None
        if wanted.verdict is not None:
            check = verdict.background_check(wanted.verdict, unknowns=simulation.unknowns, now=simulation.clock())
        world.save_user(replace(user, id_verified=wanted.id_verified, background_check=check, metadata=wanted.metadata))
        return answers.user_answer(simulation, user.id)

    @router.post("/{user_id}/verdict")
    async def set_verdict(user_id: str, new: NewVerdict) -> dict[str, Any]:
        """Change a user's background check at any time. Sends `user.updated.background_check`."""
        user = world.user(user_id)
        check = verdict.background_check(new.status, unknowns=simulation.unknowns, now=simulation.clock())
        if "has_criminal_activity" in new.model_fields_set:
            check = replace(check, has_activity=new.has_criminal_activity)
        simulation.announce(user_changes.set_check(world, user, check))
        return answers.user_answer(simulation, user_id)

    @router.post("/{user_id}/id-verified")
    async def set_id_verified(user_id: str, new: Annotated[IdVerification | None, Body()] = None) -> dict[str, Any]:
        """Confirm an identity or revoke the confirmation. Sends `user.updated.id_verified` (or its published typo)."""
        is_verified = (new or IdVerification()).id_verified
        webhook_events = user_changes.set_id_verified(
            world, world.user(user_id), is_verified=is_verified, unknowns=simulation.unknowns
        )
        simulation.announce(webhook_events)
        return answers.user_answer(simulation, user_id)

    @router.post("/{user_id}/merge")
    async def merge(user_id: str, target: Merge) -> dict[str, Any]:
        """Merge a user into another and return that other user. Sends `user.updated.user_merged`."""
        user, into = world.user(user_id), world.user(target.into)
        simulation.announce(user_changes.merge(world, user, into=into, now=simulation.clock()))
        return answers.user_answer(simulation, into.id)

    return router
