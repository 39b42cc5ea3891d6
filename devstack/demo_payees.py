"""The five payees of the demo: their steps, what they do, and the expected events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Payee:
    """A payee. `completes` is the number of steps they complete (None: all), `verdict` that of the background check."""

    reference: str
    description: str
    steps: Sequence[str | dict[str, Any]]
    expected: Sequence[str]
    has_user: bool = True
    verdict: str | None = None
    completes: int | None = None


PAYEES = (
    Payee(
        reference="payee-1",
        description="has no Dots user yet and signs up in the flow",
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
        description="has a background check that comes back flagged",
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
        description="has a background check that comes back clear",
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
        description="withdraws and returns to the shop",
        steps=["payout", {"name": "redirect", "redirect_url": "https://shop.example.com/thanks"}],
        expected=["created", "step_completed payout", "completed"],
    ),
    Payee(
        reference="payee-5",
        description="stops after the first step",
        steps=["compliance", "manage-payouts", "payout"],
        completes=1,
        expected=["created", "step_completed compliance"],
    ),
)
