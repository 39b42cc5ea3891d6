"""The inputs of retention, gauges and health checks."""

from dataclasses import dataclass
from datetime import timedelta

from app.dots.client import DotsClients
from app.metrics import Telemetry
from app.storage.inputs import StorageInputs


@dataclass(frozen=True, kw_only=True)
class UpkeepInputs(StorageInputs):
    """Storage, metrics, and the apps in the settings."""

    clients: DotsClients
    telemetry: Telemetry
    verdict_overdue_after: timedelta
