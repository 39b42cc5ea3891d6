"""The steps Dots documents and the options each takes.

Source: https://docs.dots.dev (API reference, Create Flow), read 2026-11-23 through dots-api.md §2.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from simulator.errors import invalid_input

ADDED_BY_DOTS = frozenset({"onboard", "onboarding", "authentication", "authorization"})
"""Steps that Dots puts in front by itself and nobody may ask for."""

_Check = Callable[[Any], bool]


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_fee_party(value: Any) -> bool:
    return value in ("platform", "user")


def _is_redirect_url(value: Any) -> bool:
    """Whether this is http(s) with a host that has a dot and ends in letters (a top-level domain)."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        return False
    name, dot, top_level_domain = host.rpartition(".")
    has_domain = bool(name and dot) and len(top_level_domain) > 1 and top_level_domain.isalpha()
    return parts.scheme in ("http", "https") and has_domain


_HIDES = {"hide_continue_button": _is_bool}

_CHECKS_BY_STEP: Mapping[str, Mapping[str, _Check]] = {
    "compliance": _HIDES,
    "id-verification": _HIDES,
    "background-check": _HIDES,
    "manage-payments": _HIDES,
    "manage-payouts": {
        **_HIDES,
        "auto_payout_enabled": _is_bool,
        "require_default_payout_method": _is_bool,
        "require_auto_payout_method": _is_bool,
    },
    "payout": {"auto_payout_enabled": _is_bool, "payout_fee_party": _is_fee_party},
    "redirect": {**_HIDES, "redirect_url": _is_redirect_url},
    "pdf-form-fill": {"template_id": _is_text},
}

_REQUIRED = {"redirect": ("redirect_url",)}


def is_known(step: str) -> bool:
    """Whether Dots documents a step of this name."""
    return step in _CHECKS_BY_STEP


def check(step: str, options: Mapping[str, Any]) -> None:
    """Check the options of a step; unknown ones pass.

    Raises:
        RefusalError: a documented option is missing or has a wrong value.
    """
    checks = _CHECKS_BY_STEP.get(step, {})
    for option in _REQUIRED.get(step, ()):
        if option not in options:
            raise invalid_input(f"steps: {step} requires {option}")
    for option, value in options.items():
        if option in checks and not checks[option](value):
            raise invalid_input(f"steps: {step} has an invalid {option}")
