"""The inputs of the feed's actions."""

from dataclasses import dataclass

from app.metrics import Telemetry
from app.storage.inputs import StorageInputs


@dataclass(frozen=True, kw_only=True)
class FeedInputs(StorageInputs):
    """Storage and metrics."""

    telemetry: Telemetry
