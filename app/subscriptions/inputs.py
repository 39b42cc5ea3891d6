"""The inputs of managing subscriptions and of delivering."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.dots.client import DotsClients
from app.metrics import Telemetry
from app.storage.inputs import StorageInputs
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.http_push import Pusher
from app.subscriptions.push.secret_cipher import SecretCipher


@dataclass(frozen=True, kw_only=True)
class SubscriptionInputs(StorageInputs):
    """Allowed destinations, the sender, and the cipher of secrets. `clients` knows the configured apps."""

    clients: DotsClients
    secret_cipher: SecretCipher | None
    destinations: Destinations
    pusher: Pusher
    telemetry: Telemetry
    jitter: Callable[[], float]
    new_uuid: Callable[[], UUID]
    delivery_lease: timedelta
