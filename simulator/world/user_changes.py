"""Changes to a user outside a flow: a late verdict, an ID check, a payout method, a merge."""

from dataclasses import replace
from datetime import datetime

from simulator.errors import invalid_input
from simulator.knobs import Unknowns
from simulator.world.user import BackgroundCheck, User
from simulator.world.webhook_event import WebhookEvent, user_webhook_event
from simulator.world.world import World


def set_check(world: World, user: User, check: BackgroundCheck) -> list[WebhookEvent]:
    """Set the background check of a user."""
    world.save_user(replace(user, background_check=check))
    return [user_webhook_event("user.updated.background_check", user.id)]


def set_id_verified(world: World, user: User, *, is_verified: bool, unknowns: Unknowns) -> list[WebhookEvent]:
    """Set whether the identity of a user is confirmed."""
    world.save_user(replace(user, id_verified=is_verified))
    return [user_webhook_event(unknowns.id_verified_event, user.id)]


def choose_payout(world: World, user: User, choice: str) -> bool:
    """Save the payout method. Returns False if it was already saved."""
    world.save_user(replace(user, payout_choice=choice))
    return choice != user.payout_choice


def merge(world: World, user: User, *, into: User, now: datetime) -> list[WebhookEvent]:
    """Merge a user into another: move its flows, and combine the ID verification and background check of both.

    Raises:
        RefusalError: both are the same user.
    """
    if user.id == into.id:
        raise invalid_input("into: a user cannot be merged into itself")
    world.save_user(
        replace(
            into,
            id_verified=into.id_verified or user.id_verified,
            background_check=into.background_check or user.background_check,
        )
    )
    for flow in list(world.flows.values()):
        if flow.user_id == user.id:
            world.save_flow(replace(flow, user_id=into.id), now=now)
    del world.users[user.id]
    world.merged[user.id] = into.id
    return [WebhookEvent(event="user.updated.user_merged", user_id=into.id, old_user_id=user.id)]
