"""A flow and its steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from simulator.world.apps import SIMULATED_APP_ID

PRE_AUTHENTICATED_FOR = timedelta(minutes=15)
"""How long the link of a flow for a known user works without a one-time code.

Source: https://docs.dots.dev (flows guide), read 2026-11-23 through dots-api.md.
"""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a flow. `listed` is False for a step that Dots added without listing it in `steps`."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    listed: bool = True

    @property
    def hides_continue(self) -> bool:
        """Whether the page of this step hides its Continue button."""
        return self.options.get("hide_continue_button") is True


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One flow. `done` has the names of finished steps in the order they ended, including `skipped` ones."""

    id: str
    created_at: datetime
    updated_at: datetime
    steps: tuple[Step, ...]
    done: tuple[str, ...] = ()
    skipped: frozenset[str] = frozenset()
    user_id: str | None = None
    was_onboarded: bool = False
    require_auth: bool = False
    hides_dashboard: bool = False
    metadata: Any = None
    payout_link_id: str | None = None
    api_app_id: str = SIMULATED_APP_ID

    @property
    def next_step(self) -> Step | None:
        """The step that the payee sees now; None if all are done."""
        return next((step for step in self.steps if step.name not in self.done), None)

    def step_named(self, name: str) -> Step | None:
        """The step of that name, or None."""
        return next((step for step in self.steps if step.name == name), None)

    def is_pre_authenticated(self, now: datetime) -> bool:
        """Whether the link works without a one-time code: the flow is recent and was created for a known user."""
        if self.user_id is None or self.was_onboarded or self.require_auth:
            return False
        return now - self.created_at <= PRE_AUTHENTICATED_FOR
