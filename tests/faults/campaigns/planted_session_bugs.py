"""Deliberate defects in how sessions with Postgres are given up."""

from tests.faults.campaigns.defects import Patch, PlantedBug

PLANTED_BUGS = (
    PlantedBug(
        name="read-only sessions kept in the pool",
        campaign="failover",
        breaks=("I3",),
        patches=(
            Patch(
                file="app/storage/failures.py",
                old="{Meaning.LOST, Meaning.READ_ONLY, Meaning.POOLED}",
                new="{Meaning.LOST, Meaning.POOLED}",
            ),
        ),
    ),
    PlantedBug(
        name="silent sessions waited for like slow ones",
        campaign="silent network",
        breaks=("I3",),
        patches=(
            Patch(
                file="app/storage/sessions.py",
                old="BEGIN_TIMEOUT_SECONDS = 3.0\n",
                new="BEGIN_TIMEOUT_SECONDS = 20.0\n",
            ),
        ),
    ),
)
