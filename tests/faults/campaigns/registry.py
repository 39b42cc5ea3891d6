"""All campaigns, in the order they are run."""

from tests.faults.campaigns import (
    ambiguous_creates,
    broken_broker,
    crashes,
    late_creations,
    outage,
    signatures,
    state_machine,
    stopped_worker,
    storm_campaigns,
    writers,
)
from tests.faults.campaigns.order import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (
    *storm_campaigns.CAMPAIGNS,
    broken_broker.CAMPAIGN,
    ambiguous_creates.CAMPAIGN,
    crashes.CAMPAIGN,
    stopped_worker.CAMPAIGN,
    *signatures.CAMPAIGNS,
    writers.CAMPAIGN,
    outage.CAMPAIGN,
    late_creations.CAMPAIGN,
    state_machine.CAMPAIGN,
)
