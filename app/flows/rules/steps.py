"""Checks the steps of a Dots flow and their options before Dots is asked.

Source: docs.dots.dev, flows guide and API reference (read July 2026). Accepts unknown steps and options, because Dots
may add new ones.
"""

import difflib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.dots import redirect_url
from app.errors import FieldProblem

Step = str | Mapping[str, Any]
OptionCheck = Callable[[object], str | None]

REDIRECT = "redirect"
BACKGROUND_CHECK = "background-check"
ID_VERIFICATION = "id-verification"

STEPS_LIMIT = 50
NAME_LIMIT_CHARACTERS = 100
# How similar an unknown name must be to a known one for a warning.
_ALIKE = 0.75


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _fee_party(value: object) -> str | None:
    return None if value in ("platform", "user") else 'must be "platform" or "user"'


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value else "must be a text that is not empty"


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
    REDIRECT: _CONTINUE,
    "pdf-form-fill": {"template_id": _text},
    "onboard": _CONTINUE,
    "authorization": _CONTINUE,
}
REQUIRED_OPTIONS = {REDIRECT: "redirect_url", "pdf-form-fill": "template_id"}
# Names without known options, seen in Dots' answers and in public code.
_SEEN = ("onboarding", "authentication", "payment", "credit-card-payment")


def _bare(name: str) -> str:
    """Return a name without case, white space and hyphens, with look-alikes replaced by plain letters."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in plain if character.isalnum())


_KNOWN_BY_BARE_NAME = {_bare(name): name for name in (*KNOWN_OPTIONS, *_SEEN)}


def name_of(step: Step) -> str:
    """Return the name of a checked step, which may be a text or an object."""
    return step if isinstance(step, str) else str(step["name"])


def check(steps: object, *, allows_localhost: bool = False) -> list[FieldProblem]:
    """Return the problems of a new flow's steps, in the order of the steps, or an empty list.

    `allows_localhost`: Dots is a simulator on this machine, so a redirect may lead here.
    """
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
        return [FieldProblem("steps", "must name at least one step")]
    if len(steps) > STEPS_LIMIT:
        return [FieldProblem("steps", f"must name at most {STEPS_LIMIT} steps")]
    problems: list[FieldProblem] = []
    seen: set[str] = set()
    for index, step in enumerate(steps):
        field = f"steps.{index}"
        name = step.get("name") if isinstance(step, Mapping) else step
        if problem := _name_problem(name, seen):
            is_odd = not isinstance(name, str) or name not in seen
            problems.append(FieldProblem(f"{field}.name" if isinstance(step, Mapping) and is_odd else field, problem))
        if isinstance(name, str) and (not problem or name in seen):
            problems += _check_options(
                field, name, {} if isinstance(step, str) else step, allows_localhost=allows_localhost
            )
            seen.add(name)
    return problems


def warnings(steps: Sequence[Step], *, allows_localhost: bool = False) -> list[str]:
    """Return warnings about steps that `check` accepts, in the order of the steps."""
    found: list[str] = []
    for index, step in enumerate(steps):
        name = name_of(step)
        if known := _close_to(name):
            found.append(f"did you mean {known}?")
        if name == REDIRECT and isinstance(step, Mapping):
            warning = redirect_url.warning(step["redirect_url"], allows_localhost=allows_localhost)
            found += [f"steps.{index}.redirect_url: {warning}"] if warning else []
    return found


def _name_problem(name: object, seen: set[str]) -> str | None:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT_CHARACTERS:
        return "must be a step's name, or an object with one as `name`"
    known = _KNOWN_BY_BARE_NAME.get(_bare(name), name)
    if known != name:
        return f"must be written {known}"
    if not name.isprintable():
        return "must be a step's name, or an object with one as `name`"
    return f"{name} is there twice" if name in seen else None


def _close_to(name: str) -> str | None:
    """Return the known step that an unknown name looks like."""
    bare = _bare(name)
    if bare in _KNOWN_BY_BARE_NAME:
        return None
    close = difflib.get_close_matches(bare, _KNOWN_BY_BARE_NAME, n=1, cutoff=_ALIKE)
    return _KNOWN_BY_BARE_NAME[close[0]] if close else None


def _check_options(field: str, name: str, options: Mapping[str, Any], *, allows_localhost: bool) -> list[FieldProblem]:
    problems = [
        FieldProblem(f"{field}.{option}", problem)
        for option, check_option in KNOWN_OPTIONS.get(name, {}).items()
        if option in options and (problem := check_option(options[option]))
    ]
    required = REQUIRED_OPTIONS.get(name)
    if required is not None and required not in options:
        problems.append(FieldProblem(f"{field}.{required}", f"is required for a {name}"))
    elif name == REDIRECT and (url := redirect_url.check(options["redirect_url"], allows_localhost=allows_localhost)):
        problems.append(FieldProblem(f"{field}.redirect_url", url))
    return problems
