"""The documented steps and their options.

Source: https://docs.dots.dev (API reference, Create Flow), read 2026-11-23 through dots-api.md §2.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from simulator import loopback
from simulator.errors import invalid_input
from simulator.knobs import Unknowns

_PUBLISHED_URL = re.compile(r"https?://[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-zA-Z0-9]{1,6}\b")
"""As published, unanchored and case-sensitive: a scheme, a host with a dot, a last label of 1 to 6 characters."""

_Check = Callable[[Any], bool]


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_fee_party(value: Any) -> bool:
    return value in ("platform", "user")


def _is_url(value: Any) -> bool:
    """Whether this is an http(s) URL with a host."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


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
    "redirect": {**_HIDES, "redirect_url": _is_url},
    "pdf-form-fill": {"template_id": _is_text},
    "onboard": _HIDES,
    "authorization": _HIDES,
}

_ONLY_IN_GUIDES = frozenset({"onboard", "authorization"})

_REQUIRED = {"redirect": ("redirect_url",), "pdf-form-fill": ("template_id",)}


def is_listed(step: str) -> bool:
    """Whether the API reference lists this step. The guide also names `onboard` and, once, `authorization`."""
    return step in _CHECKS_BY_STEP and step not in _ONLY_IN_GUIDES


def check(step: str, options: Mapping[str, Any], unknowns: Unknowns) -> None:
    """Check the options of a step. Unknown options pass.

    A loopback `redirect_url` passes even if it does not match Dots' pattern: developers use one with the simulator.

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
    if step == "redirect" and unknowns.redirect_url_pattern == "enforced":
        url = options["redirect_url"]
        if not loopback.is_loopback_url(url) and not _PUBLISHED_URL.search(url):
            raise invalid_input("steps: redirect has an invalid redirect_url")
