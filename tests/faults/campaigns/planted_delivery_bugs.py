"""Deliberate defects on the way from the feed to subscribers and the broker."""

from tests.faults.campaigns.defects import Patch, PlantedBug

PLANTED_BUGS = (
    PlantedBug(
        name="delivery marked before the answer",
        campaign="silence",
        breaks=("I10",),
        patches=(
            Patch(
                file="app/subscriptions/deliver_due.py",
                old="from app.subscriptions.push.http_push import Message\n",
                new="from datetime import timedelta\n\nfrom app.subscriptions.push.answers import Answer\n"
                "from app.subscriptions.push.http_push import Message\n",
            ),
            Patch(
                file="app/subscriptions/deliver_due.py",
                old="        answer = await inputs.pusher.push(delivery.url, message)\n",
                new="        answer = Answer(status=204, error=None, retry_after=None, took=timedelta(0))\n",
            ),
            Patch(
                file="app/subscriptions/deliver_due.py",
                old="        inputs.telemetry.deliveries.labels(",
                new="        await inputs.pusher.push(delivery.url, message)\n"
                "        inputs.telemetry.deliveries.labels(",
            ),
        ),
    ),
    PlantedBug(
        name="a delivery that failed lets later ones pass",
        campaign="silence",
        breaks=("I11",),
        patches=(
            Patch(
                file="app/subscriptions/delivery_rows.py",
                old="        ORDER BY position\n        LIMIT 1\n",
                new="        ORDER BY attempts, position\n        LIMIT 1\n",
            ),
        ),
    ),
    PlantedBug(
        name="verdicts sent to those who may not know them",
        campaign="silence",
        breaks=("I10",),
        patches=(
            Patch(
                file="app/subscriptions/delivery_rows.py",
                old="            AND (s.with_compliance OR e.type <> ALL (CAST(:compliance AS text[])))\n",
                new="            AND (TRUE OR e.type <> ALL (CAST(:compliance AS text[])))\n",
            ),
        ),
    ),
    PlantedBug(
        name="deliveries made in a second transaction",
        campaign="crashes",
        breaks=("I10",),
        patches=(
            Patch(
                file="app/feed/sequence_events.py",
                old="        stamped = await event_rows.stamp(connection, limit=limit, floor=floor)\n",
                new="        stamped = await event_rows.stamp(connection, limit=limit, floor=floor)\n"
                "    async with database.transaction(inputs.engine) as connection:\n",
            ),
        ),
    ),
    PlantedBug(
        name="a delivery settled after its lease",
        campaign="fencing",
        breaks=("I10",),
        patches=(
            Patch(
                file="app/subscriptions/queue_rows.py",
                old="AND subject = :subject AND lease_token = :token",
                new="AND subject = :subject AND CAST(:token AS uuid) IS NOT NULL",
            ),
        ),
    ),
    PlantedBug(
        name="the broker's cursor moved before it has confirmed",
        campaign="broker",
        breaks=("I10",),
        patches=(
            Patch(
                file="app/brokers/publish_feed.py",
                old="    outcome = await publish_batch.publish_batch(",
                new="    await _move(inputs, batch, Outcome(prefix=len(batch.events), published=0, error=None))\n"
                "    outcome = await publish_batch.publish_batch(",
            ),
        ),
    ),
)
