"""The inputs of one api process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.feed.watch_feed import FeedWatch
from app.flows.inputs import FlowInputs
from app.flows.read_timeline import Neighbours
from app.storage.inputs import StorageInputs
from app.subscriptions.inputs import SubscriptionInputs
from app.upkeep.inputs import UpkeepInputs
from app.webhooks.endpoint import WebhookInputs


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """The inputs of every subject that has routes, and the process's feed watch."""

    storage: StorageInputs
    flows: FlowInputs
    neighbours: Neighbours
    subscriptions: SubscriptionInputs
    webhooks: WebhookInputs
    upkeep: UpkeepInputs
    watch: FeedWatch

    def by_type(self) -> Mapping[type[Any], object]:
        """Return the inputs by type, as `app.web.given` looks them up."""
        return {
            StorageInputs: self.storage,
            FlowInputs: self.flows,
            Neighbours: self.neighbours,
            SubscriptionInputs: self.subscriptions,
            UpkeepInputs: self.upkeep,
            FeedWatch: self.watch,
        }
