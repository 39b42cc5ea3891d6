"""The inputs for creating, refreshing and discovering flows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.dots.client import DotsClients
from app.flows.rules.schedule import PollSchedule
from app.metrics import Telemetry
from app.storage.background import BackgroundInputs


@dataclass(frozen=True, kw_only=True)
class FlowInputs(BackgroundInputs):
    """The clients of Dots, and the settings that decide when to call it."""

    clients: DotsClients
    telemetry: Telemetry
    new_uuid: Callable[[], UUID]
    lease: timedelta
    sweeps: PollSchedule
    verdict_polls: PollSchedule
    discover_every: timedelta
    follow_foreign_flows: bool
    complete_passed_over: bool
    dead_after: timedelta
    answers_kept: timedelta
