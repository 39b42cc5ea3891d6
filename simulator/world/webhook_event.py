"""An event that Dots reports by webhook."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WebhookEvent:
    """One event. `event` is Dots' name for it. Exactly one of `flow_id` and `user_id` is set."""

    event: str
    flow_id: str | None = None
    user_id: str | None = None
    old_user_id: str | None = None


def flow_webhook_event(event: str, flow_id: str) -> WebhookEvent:
    """An event about a flow."""
    return WebhookEvent(event=event, flow_id=flow_id)


def user_webhook_event(event: str, user_id: str) -> WebhookEvent:
    """An event about a user."""
    return WebhookEvent(event=event, user_id=user_id)
