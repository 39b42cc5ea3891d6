"""Flows and users as Dots writes them: keys alphabetical, times naive, steps as bare names."""

from datetime import UTC, datetime
from typing import Any

from simulator.errors import not_found
from simulator.knobs import Unknowns
from simulator.world.flow import Flow
from simulator.world.user import BackgroundCheck, User
from simulator.world.world import World


def flow_object(flow: Flow, *, public_url: str, unknowns: Unknowns) -> dict[str, Any]:
    """The flow object. `user_id` may be set while `completed_steps` is still empty."""
    answer = {
        "completed_steps": _completed_steps(flow, unknowns),
        "created": _time(flow.created_at, unknowns),
        "id": flow.id,
        "link": flow_link(flow, public_url=public_url),
        "metadata": flow.metadata,
        "payout_link_id": flow.payout_link_id,
        "steps": _steps(flow, unknowns),
        "user_id": flow.user_id,
    }
    if unknowns.flow_has_updated:
        answer["updated"] = _time(flow.updated_at, unknowns)
    return dict(sorted(answer.items()))


def flow_link(flow: Flow, *, public_url: str) -> str:
    """Where the payee walks through a flow."""
    return f"{public_url}/flow/{flow.id}"


def user_object(user: User, unknowns: Unknowns) -> dict[str, Any]:
    """The user object. An unverified user has neither `compliance` nor `wallet`."""
    answer: dict[str, Any] = {
        "created": _time(user.created_at, unknowns),
        "email": user.email,
        "first_name": user.first_name,
        "id": user.id,
        "last_name": user.last_name,
        "metadata": user.metadata,
        "phone_number": {"country_code": "1", "phone_number": user.phone_number},
        "status": user.status,
    }
    if user.status != "unverified":
        answer["compliance"] = _compliance(user, unknowns)
        answer["wallet"] = {"credit_balance": 0, "withdrawable_amount": 0}
        if unknowns.flag_place in ("top_level", "both"):
            answer |= _flag(user.background_check, unknowns)
    return dict(sorted(answer.items()))


def user_object_by_id(world: World, user_id: str, unknowns: Unknowns) -> dict[str, Any]:
    """The user object under an id that may be the old one of a merged user.

    Raises:
        RefusalError: there is no such user, or Dots no longer answers for the old id.
    """
    new_id = world.merged.get(user_id)
    if new_id is None:
        return user_object(world.user(user_id), unknowns)
    if unknowns.merged_user == "not_found":
        raise not_found("User not found")
    answer = user_object(world.user(_final_id(world, new_id)), unknowns)
    if unknowns.merged_user == "disabled":
        return answer | {"id": user_id, "status": "disabled"}
    return answer


def _final_id(world: World, user_id: str) -> str:
    """Follow merges of merges to the user that stayed."""
    while user_id in world.merged:
        user_id = world.merged[user_id]
    return user_id


def _completed_steps(flow: Flow, unknowns: Unknowns) -> list[str]:
    onboarding = unknowns.onboarding_in_completed_steps if flow.was_onboarded else ()
    done = [name for name in flow.done if name != "redirect" or unknowns.redirect_enters_completed_steps]
    return [*onboarding, *done]


def _steps(flow: Flow, unknowns: Unknowns) -> list[str]:
    needs_onboarding = flow.user_id is None or flow.was_onboarded
    onboarding = unknowns.onboarding_in_steps if needs_onboarding else ()
    return [*onboarding, *(step.name for step in flow.steps if step.listed)]


def _compliance(user: User, unknowns: Unknowns) -> dict[str, Any]:
    compliance: dict[str, Any] = {
        "flags": {"ofac": False, "tax_id_mismatch": False},
        "id_verified": user.id_verified,
        "tax_id_verification": {"status": "not_started"},
    }
    check = user.background_check
    if check is not None:
        compliance["background_check"] = {"status": check.status, "updated": _time(check.updated_at, unknowns)}
    if unknowns.flag_place in ("compliance", "both"):
        compliance |= _flag(check, unknowns)
    return dict(sorted(compliance.items()))


def _flag(check: BackgroundCheck | None, unknowns: Unknowns) -> dict[str, bool | None]:
    """`has_criminal_activity`, or nothing: what an undecided flag looks like is a knob."""
    has_activity = check.has_activity if check else None
    if has_activity is not None:
        return {"has_criminal_activity": has_activity}
    if unknowns.undecided_flag == "absent":
        return {}
    return {"has_criminal_activity": False if unknowns.undecided_flag == "false" else None}


def _time(at: datetime, unknowns: Unknowns) -> str:
    naive = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return naive if unknowns.times == "naive" else f"{naive}Z"
