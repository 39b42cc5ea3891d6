"""The steps of a Dots flow and their options: what can be known to be wrong before Dots is asked.

Source: docs.dots.dev, flows guide and API reference (read July 2026). Unknown steps and options pass through,
because new ones appear over the years.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from app.errors import FieldProblem

Step = str | Mapping[str, Any]
OptionCheck = Callable[[object], str | None]

REDIRECT = "redirect"
BACKGROUND_CHECK = "background-check"
ID_VERIFICATION = "id-verification"

# Dots puts these in front by itself; a caller who sends them would be refused, or worse, obeyed.
AUTOMATIC_STEPS = frozenset({"onboard", "onboarding", "authentication", "authorization"})

STEPS_LIMIT = 50
NAME_LIMIT_CHARACTERS = 100
URL_LIMIT_CHARACTERS = 2048
_HOST_WITH_TLD = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})")


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _fee_party(value: object) -> str | None:
    return None if value in ("platform", "user") else 'must be "platform" or "user"'


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value else "must be a text that is not empty"


def _web_address(value: object) -> str | None:
    problem = "must be an http or https URL whose host has a dot and a top-level domain"
    if not isinstance(value, str) or len(value) > URL_LIMIT_CHARACTERS or re.search(r"[\s\x00-\x1f\x7f]", value):
        return problem
    try:
        parts = urlsplit(value)
        host = (parts.hostname or "").encode("idna").decode("ascii").lower()
        _ = parts.port  # Reading it is what checks it.
    except ValueError:
        return problem
    is_valid = parts.scheme in ("http", "https") and _HOST_WITH_TLD.fullmatch(host)
    return None if is_valid else problem


_CONTINUE = {"hide_continue_button": _boolean}
KNOWN_OPTIONS: Mapping[str, Mapping[str, OptionCheck]] = {
    "compliance": _CONTINUE,
    ID_VERIFICATION: _CONTINUE,
    BACKGROUND_CHECK: _CONTINUE,
    "manage-payments": _CONTINUE,
    "manage-payouts": {
        **_CONTINUE,
        "auto_payout_enabled": _boolean,
        "require_default_payout_method": _boolean,
        "require_auto_payout_method": _boolean,
    },
    "payout": {"auto_payout_enabled": _boolean, "payout_fee_party": _fee_party},
    REDIRECT: {**_CONTINUE, "redirect_url": _web_address},
    "pdf-form-fill": {"template_id": _text},
}


def name_of(step: Step) -> str:
    """The name of a checked step, whichever way it was written."""
    return step if isinstance(step, str) else str(step["name"])


def check(steps: object) -> list[FieldProblem]:
    """What is wrong with the steps of a new flow, first step first; empty when nothing is known to be."""
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
        return [FieldProblem("steps", "must name at least one step")]
    if len(steps) > STEPS_LIMIT:
        return [FieldProblem("steps", f"must name at most {STEPS_LIMIT} steps")]
    problems: list[FieldProblem] = []
    seen: set[str] = set()
    for index, step in enumerate(steps):
        field = f"steps.{index}"
        name = step.get("name") if isinstance(step, Mapping) else step
        if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT_CHARACTERS or not name.isprintable():
            where = f"{field}.name" if isinstance(step, Mapping) else field
            problems.append(FieldProblem(where, "must be a step's name, or an object with one as `name`"))
            continue
        problems += _check_name(field, name, seen)
        problems += _check_options(field, name, {} if isinstance(step, str) else step)
        seen.add(name)
    return problems


def _check_name(field: str, name: str, seen: set[str]) -> list[FieldProblem]:
    if name in AUTOMATIC_STEPS:
        return [FieldProblem(field, f"{name} is added by Dots itself; leave it out")]
    if name in seen:
        return [FieldProblem(field, f"{name} is there twice")]
    return []


def _check_options(field: str, name: str, options: Mapping[str, Any]) -> list[FieldProblem]:
    checks = KNOWN_OPTIONS.get(name, {})
    problems = [
        FieldProblem(f"{field}.{option}", problem)
        for option, check_option in checks.items()
        if option in options and (problem := check_option(options[option]))
    ]
    if name == REDIRECT and "redirect_url" not in options:
        problems.append(FieldProblem(f"{field}.redirect_url", "is required for a redirect"))
    return problems
