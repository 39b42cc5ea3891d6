"""What the gateway has to say, worked out from the simulator's own state."""

from typing import Any

VERDICTS = {"pass": "cleared", "failed": "flagged"}
WITHOUT_A_FINDING = ("consider", "information_mismatch", "canceled", "expired")


def timelines(state: dict[str, Any], *, claimed: set[str]) -> dict[str, list[str]]:
    """The exact events of every flow and user, by subject; `claimed` are the flows made without a user."""
    reported = {f"flow/{flow['id']}": _flow_timeline(flow, is_claimed=flow["id"] in claimed) for flow in state["flows"]}
    reported |= {f"user/{user['id']}": _user_timeline(user) for user in state["users"]}
    return {subject: lines for subject, lines in reported.items() if lines}


def is_complete(flow: dict[str, Any]) -> bool:
    """Whether all is done but a redirect, which Dots never reports."""
    return set(flow["steps"]) - {"redirect"} <= set(flow["completed_steps"])


def verdict(user: dict[str, Any]) -> str:
    """The verdict on a user, in the gateway's words."""
    check = user.get("compliance", {}).get("background_check")
    if check and check["status"] in WITHOUT_A_FINDING:
        return "needs_review"
    return VERDICTS.get(check["status"], "pending") if check else "none"


def _flow_timeline(flow: dict[str, Any], *, is_claimed: bool) -> list[str]:
    return [
        "flow.created",
        *(["flow.claimed"] if is_claimed and flow["user_id"] else []),
        *(f"flow.step_completed {step}" for step in flow["completed_steps"]),
        *(["flow.completed"] if is_complete(flow) else []),
    ]


def _user_timeline(user: dict[str, Any]) -> list[str]:
    """An identity and a verdict, of which either may come first: a user has only one check here."""
    settled = verdict(user)
    return sorted(
        [
            *(["user.id_verified"] if user.get("compliance", {}).get("id_verified") else []),
            *([f"background_check.{settled}"] if settled in (*VERDICTS.values(), "needs_review") else []),
        ]
    )
