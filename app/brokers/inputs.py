"""The inputs of publishing, apart from the broker itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.metrics import Telemetry
from app.storage.inputs import StorageInputs


@dataclass(frozen=True, kw_only=True)
class BrokerInputs(StorageInputs):
    """Storage, metrics, and the length of a publisher's lease."""

    telemetry: Telemetry
    new_uuid: Callable[[], UUID]
    lease: timedelta
