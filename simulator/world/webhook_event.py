"""What happened in the world that Dots would tell by webhook."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WebhookEvent:
    """One fact worth a webhook. `event` is Dots' name for it; exactly one of flow and user is its subject."""

    event: str
    flow_id: str | None = None
    user_id: str | None = None
    old_user_id: str | None = None


def flow_webhook_event(event: str, flow_id: str) -> WebhookEvent:
    """Something happened to a flow."""
    return WebhookEvent(event=event, flow_id=flow_id)


def user_webhook_event(event: str, user_id: str) -> WebhookEvent:
    """Something happened to a user."""
    return WebhookEvent(event=event, user_id=user_id)
