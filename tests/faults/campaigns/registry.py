"""All campaigns, in the order they are begun: the longest first, so that two rows of them end together."""

from tests.faults.campaigns import (
    ambiguous_creates,
    broken_broker,
    crashes,
    late_creations,
    lost_sessions,
    outage,
    signatures,
    state_machine,
    stopped_worker,
    storm_campaigns,
    writers,
)
from tests.faults.campaigns.options import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (
    state_machine.CAMPAIGN,
    *storm_campaigns.CAMPAIGNS,
    crashes.CAMPAIGN,
    *lost_sessions.CAMPAIGNS,
    *signatures.CAMPAIGNS,
    broken_broker.CAMPAIGN,
    ambiguous_creates.CAMPAIGN,
    writers.CAMPAIGN,
    stopped_worker.CAMPAIGN,
    outage.CAMPAIGN,
    late_creations.CAMPAIGN,
)
