"""Webhook bodies in Dots' format: flat, with ids only, without the step's name.

Source: https://docs.dots.dev (webhooks reference), read 2026-11-23 through dots-api.md §4.
"""

import json
from typing import Any

from simulator.knobs import Unknowns
from simulator.world.webhook_event import WebhookEvent
from simulator.world.world import World


def body(webhook_event: WebhookEvent, world: World, unknowns: Unknowns) -> bytes:
    """The JSON body for an event."""
    if unknowns.webhooks_omit_event and webhook_event.old_user_id is not None:
        merged = {"old_user_id": webhook_event.old_user_id, "new_user_id": webhook_event.user_id}
        return json.dumps(merged).encode()
    content: dict[str, Any] = {} if unknowns.webhooks_omit_event else {"event": webhook_event.event}
    if webhook_event.flow_id is not None:
        content |= _flow_fields(webhook_event.flow_id, world, unknowns)
    if webhook_event.user_id is not None:
        content |= _user_fields(webhook_event.user_id, webhook_event.old_user_id, world, unknowns)
    return json.dumps(content).encode()


def _flow_fields(flow_id: str, world: World, unknowns: Unknowns) -> dict[str, Any]:
    flow = world.flow(flow_id)
    fields: dict[str, Any] = {"flow_id": flow_id}
    if unknowns.flow_webhooks_carry_metadata:
        fields["metadata"] = flow.metadata
    if unknowns.webhooks_carry_api_app_id:
        fields["api_app_id"] = flow.api_app_id
    return fields


def _user_fields(user_id: str, old_user_id: str | None, world: World, unknowns: Unknowns) -> dict[str, Any]:
    fields: dict[str, Any] = {"user_id": user_id}
    if old_user_id is not None:
        fields |= {"old_user_id": old_user_id, "new_user_id": user_id}
    if unknowns.user_webhooks_carry_metadata:
        fields["metadata"] = world.user(user_id).metadata
    return fields
