"""What happened in the world that Dots would tell by webhook."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One fact worth a webhook. `event` is Dots' name for it; exactly one of flow and user is its subject."""

    event: str
    flow_id: str | None = None
    user_id: str | None = None
    old_user_id: str | None = None


def flow_happening(event: str, flow_id: str) -> Happening:
    """Something happened to a flow."""
    return Happening(event=event, flow_id=flow_id)


def user_happening(event: str, user_id: str) -> Happening:
    """Something happened to a user."""
    return Happening(event=event, user_id=user_id)
