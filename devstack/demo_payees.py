"""The five payees of the demo: what they are asked for, what they do, and which events that must make."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Payee:
    """Who gets a flow with which steps, how many of them they complete, and what their check comes to."""

    reference: str
    timeline: str
    steps: Sequence[str | dict[str, Any]]
    expected: Sequence[str]
    has_user: bool = True
    verdict: str | None = None
    completes: int | None = None


PAYEES = (
    Payee(
        reference="payee-1",
        timeline="has no Dots user yet: signs up on the way",
        steps=["compliance", "id-verification", "manage-payouts"],
        has_user=False,
        expected=[
            "created",
            "claimed",
            "step_completed compliance",
            "step_completed id-verification",
            "step_completed manage-payouts",
            "completed",
            "id_verified",
        ],
    ),
    Payee(
        reference="payee-2",
        timeline="has a background check that comes back flagged",
        steps=["compliance", "background-check"],
        verdict="flagged",
        expected=[
            "created",
            "step_completed compliance",
            "step_completed background-check",
            "completed",
            "background_check.flagged",
        ],
    ),
    Payee(
        reference="payee-3",
        timeline="has a background check that comes back clear",
        steps=["background-check", "manage-payments", {"name": "pdf-form-fill", "template_id": "contract"}],
        verdict="cleared",
        expected=[
            "created",
            "step_completed background-check",
            "step_completed manage-payments",
            "step_completed pdf-form-fill",
            "completed",
            "background_check.cleared",
        ],
    ),
    Payee(
        reference="payee-4",
        timeline="withdraws, and is sent back to the shop",
        steps=["payout", {"name": "redirect", "redirect_url": "https://shop.example.com/thanks"}],
        expected=["created", "step_completed payout", "completed"],
    ),
    Payee(
        reference="payee-5",
        timeline="gives up half-way",
        steps=["compliance", "manage-payouts", "payout"],
        completes=1,
        expected=["created", "step_completed compliance"],
    ),
)
