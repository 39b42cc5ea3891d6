"""Dots Apps: every flow and user belongs to one, and every call acts for one."""

SIMULATED_APP_ID = "00000000-0000-4000-8000-000000000001"
"""The app of callers that name no app."""

_OWN_APP = ("", "default")


def of_header(api_app_id: str | None) -> str:
    """The app that a call with this `Api-App-Id` acts for."""
    named = (api_app_id or "").strip()
    return SIMULATED_APP_ID if named in _OWN_APP else named.lower()
