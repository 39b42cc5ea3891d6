"""Flows and users in Dots' JSON format: sorted keys, times without a zone, steps as bare names."""

from datetime import UTC, datetime
from typing import Any

from simulator.errors import hidden
from simulator.knobs import Unknowns
from simulator.world.flow import Flow
from simulator.world.user import BackgroundCheck, User
from simulator.world.world import World

_FLAGS = {
    "name_mismatch": False,
    "ofac": False,
    "ofac_status": "clear",
    "payout_method": False,
    "payout_method_cycle": False,
}


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
    return dict(sorted(answer.items()))


def flow_link(flow: Flow, *, public_url: str) -> str:
    """The link that a payee opens."""
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
        old_check = unknowns.sex_offender_check_status
        if old_check != "absent":
            answer["sex_offender_check_status"] = None if old_check == "null" else old_check
    return dict(sorted(answer.items()))


def flow_of_app(world: World, flow_id: str, api_app_id: str, unknowns: Unknowns) -> Flow:
    """This app's flow with that id.

    Raises:
        RefusalError: there is none, or it belongs to another app. Both have the same answer.
    """
    flow = world.flows.get(flow_id)
    if flow is None or flow.api_app_id != api_app_id:
        raise hidden(unknowns.foreign_subject_status, "Flow not found")
    return flow


def user_object_by_id(world: World, user_id: str, api_app_id: str, unknowns: Unknowns) -> dict[str, Any]:
    """The user object for an id, which may be the old id of a merged user.

    Raises:
        RefusalError: the app has no such user, or the old id no longer works.
    """
    is_merged = user_id in world.merged
    user = world.users.get(world.final_user_id(user_id))
    is_gone = is_merged and unknowns.merged_user == "not_found"
    if user is None or is_gone or user.api_app_id != api_app_id:
        raise hidden(unknowns.foreign_subject_status, "User not found")
    answer = user_object(user, unknowns)
    if is_merged and unknowns.merged_user == "disabled":
        return answer | {"id": user_id, "status": "disabled"}
    return answer


def _completed_steps(flow: Flow, unknowns: Unknowns) -> list[str]:
    onboarding = unknowns.onboarding_in_completed_steps if flow.was_onboarded else ()
    left_out: set[str] = set() if unknowns.redirect_enters_completed_steps else {"redirect"}
    if not unknowns.skipped_in_completed_steps:
        left_out |= flow.skipped
    return [*onboarding, *(name for name in flow.done if name not in left_out)]


def _steps(flow: Flow, unknowns: Unknowns) -> list[str]:
    needs_onboarding = flow.user_id is None or flow.was_onboarded
    onboarding = unknowns.onboarding_in_steps if needs_onboarding else ()
    return [*onboarding, *(step.name for step in flow.steps if step.listed)]


def _compliance(user: User, unknowns: Unknowns) -> dict[str, Any]:
    compliance: dict[str, Any] = {
        "flags": _FLAGS,
        "id_verified": user.id_verified,
        "tax_id_verification": "not_started",
    }
    check = user.background_check
    if check is not None:
        compliance["background_check"] = {"status": check.status, "updated": _time(check.updated_at, unknowns)}
    if unknowns.flag_place in ("compliance", "both"):
        compliance |= _flag(check, unknowns)
    return dict(sorted(compliance.items()))


def _flag(check: BackgroundCheck | None, unknowns: Unknowns) -> dict[str, bool | None]:
    """`has_criminal_activity` as a dictionary. A knob decides how an undecided flag looks."""
    has_activity = check.has_activity if check else None
    if has_activity is not None:
        return {"has_criminal_activity": has_activity}
    if unknowns.undecided_flag == "absent":
        return {}
    return {"has_criminal_activity": False if unknowns.undecided_flag == "false" else None}


def _time(at: datetime, unknowns: Unknowns) -> str:
    naive = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return naive if unknowns.times == "naive" else f"{naive}Z"
