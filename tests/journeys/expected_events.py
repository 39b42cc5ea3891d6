"""The events that the gateway must report, computed from the simulator's state."""

from typing import Any

VERDICTS = {"pass": "cleared", "failed": "flagged"}
INCONCLUSIVE = ("consider", "information_mismatch", "canceled", "expired")


def timelines(state: dict[str, Any], *, claimed: set[str]) -> dict[str, list[str]]:
    """The exact events of every flow and user, by subject. `claimed` are the flows created without a user."""
    reported = {f"flow/{flow['id']}": _flow_timeline(flow, is_claimed=flow["id"] in claimed) for flow in state["flows"]}
    reported |= {f"user/{user['id']}": _user_timeline(user) for user in state["users"]}
    return {subject: lines for subject, lines in reported.items() if lines}


def is_complete(flow: dict[str, Any]) -> bool:
    """Whether all steps are completed, except a redirect, which Dots never reports."""
    return set(flow["steps"]) - {"redirect"} <= set(flow["completed_steps"])


def verdict(user: dict[str, Any]) -> str:
    """The verdict on a user, in the gateway's words."""
    check = user.get("compliance", {}).get("background_check")
    if check and check["status"] in INCONCLUSIVE:
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
    """The identity and the verdict, sorted, because either can come first. A user has at most one check here."""
    settled = verdict(user)
    return sorted(
        [
            *(["user.id_verified"] if user.get("compliance", {}).get("id_verified") else []),
            *([f"background_check.{settled}"] if settled in (*VERDICTS.values(), "needs_review") else []),
        ]
    )
