"""Deliberate defects on the way from a webhook or a creation to the feed.

A harness that catches nothing proves nothing. The changes are made to a copy, by `plant`; the product stays whole.
"""

from tests.faults.campaigns.defects import Patch, PlantedBug

PLANTED_BUGS = (
    PlantedBug(
        name="acknowledged before the commit",
        campaign="killings",
        breaks=("I1",),
        patches=(
            Patch(
                file="app/webhooks/receive_webhook.py",
                old="        await self._group.submit(webhook)\n",
                new="        asyncio.ensure_future(self._group.submit(webhook))\n",
            ),
            Patch(
                file="app/webhooks/receive_webhook.py",
                old="from collections.abc import Sequence\n",
                new="import asyncio\nfrom collections.abc import Sequence\n",
            ),
        ),
    ),
    PlantedBug(
        name="synchronous_commit = off",
        campaign="killings",
        breaks=("I1", "I5", "I6", "I7"),
        patches=(
            Patch(
                file="app/storage/sessions.py",
                old='    "timezone": "UTC",\n',
                new='    "timezone": "UTC",\n    "synchronous_commit": "off",\n',
            ),
            Patch(
                file="app/storage/sessions.py",
                old="WHERE current_setting('synchronous_commit') = 'off'",
                new="WHERE current_setting('synchronous_commit') = 'unheard of'",
            ),
        ),
    ),
    PlantedBug(
        name="ON CONFLICT DO NOTHING for repeats",
        campaign="storm",
        breaks=("I1",),
        patches=(
            Patch(
                file="app/webhooks/webhook_rows.py",
                old="""    ON CONFLICT (app, message_id) DO UPDATE
    SET received_count = w.received_count + excluded.received_count,
        last_received_at = GREATEST(w.last_received_at, excluded.last_received_at)
""",
                new="    ON CONFLICT (app, message_id) DO NOTHING\n",
            ),
        ),
    ),
    PlantedBug(
        name="body stored as parsed",
        campaign="storm",
        breaks=("I1",),
        patches=(
            Patch(
                file="app/webhooks/receive_webhook.py",
                old="from collections.abc import Sequence\n",
                new="import json\nfrom collections.abc import Sequence\n",
            ),
            Patch(
                file="app/webhooks/receive_webhook.py",
                old="        body=body,\n",
                new='        body=json.dumps(json.loads(body), separators=(",", ":")).encode(),\n',
            ),
        ),
    ),
    PlantedBug(
        name="events in a second transaction",
        campaign="crashes",
        breaks=("I6",),
        patches=(
            Patch(
                file="app/flows/apply_snapshot.py",
                old="    await event_rows.append_all(\n",
                new="""    await connection.exec_driver_sql("COMMIT")
    await connection.exec_driver_sql("BEGIN")
    await event_rows.append_all(
""",
            ),
        ),
    ),
    PlantedBug(
        name="generation cleared unconditionally",
        campaign="calm",
        breaks=("I4",),
        patches=(
            Patch(
                file="app/flows/sync_rows.py",
                old="    SET clean_gen = GREATEST(clean_gen, seen_gen)",
                new="    SET clean_gen = GREATEST(dirty_gen, seen_gen)",
            ),
            Patch(
                file="app/flows/sync_rows.py",
                old="        due_at = CASE WHEN dirty_gen > seen_gen THEN due_at ELSE next_due_at END,\n",
                new="        due_at = next_due_at,\n",
            ),
        ),
    ),
    PlantedBug(
        name="sweeps forgotten",
        campaign="silence",
        breaks=("I4",),
        patches=(
            Patch(
                file="app/flows/rules/schedule.py",
                old="    age = now - since\n    for planned in polls.ages:\n",
                new="    age = now - since\n    for planned in polls.ages[:0]:\n",
            ),
        ),
    ),
    PlantedBug(
        name="feed read by serial id",
        campaign="writers",
        breaks=("I7",),
        patches=(
            Patch(
                file="app/feed/event_rows.py",
                old="        SET position = last.position + next.nth\n",
                new="        SET position = events.row_id\n",
            ),
        ),
    ),
    PlantedBug(
        name="sequencer's lock in the same statement",
        campaign="writers",
        breaks=("I0", "I7"),
        patches=(
            Patch(
                file="app/feed/event_rows.py",
                old="    is_ours = await connection.scalar(_TRY_LOCK)\n    if not is_ours:\n        return None\n",
                new="",
            ),
            Patch(
                file="app/feed/event_rows.py",
                old="        WHERE position IS NULL AND row_id > :floor\n",
                new="        WHERE position IS NULL AND row_id > :floor\n"
                "            AND (SELECT pg_advisory_xact_lock(7300002) IS NOT NULL)\n",
            ),
        ),
    ),
    PlantedBug(
        name="events without the flow's row lock",
        campaign="writers",
        breaks=("I0",),
        patches=(
            Patch(
                file="app/flows/flow_rows.py",
                old="    await connection.execute(select(flows.c.ref).where(is_it).with_for_update())\n",
                new="",
            ),
        ),
    ),
    PlantedBug(
        name="steps read in the statement that waits for the lock",
        campaign="writers",
        breaks=("I0",),
        patches=(
            Patch(
                file="app/flows/flow_rows.py",
                old="    await connection.execute(select(flows.c.ref).where(is_it).with_for_update())\n"
                "    return await _one(connection, select(*FIELDS).where(is_it))\n",
                new="    return await _one(connection, select(*FIELDS).where(is_it).with_for_update())\n",
            ),
        ),
    ),
    PlantedBug(
        name="no fencing token",
        campaign="fencing",
        breaks=("I4", "I6"),
        patches=(
            Patch(
                file="app/flows/sync_rows.py",
                old=" AND s.subject_id = i.subject_id AND s.lease_token = i.token\n",
                new=" AND s.subject_id = i.subject_id\n",
            ),
        ),
    ),
    PlantedBug(
        name="old signatures taken",
        campaign="clock",
        breaks=("I2",),
        patches=(
            Patch(
                file="app/dots/signature.py",
                old="        if age_seconds > self._tolerance_seconds:\n",
                new="        if age_seconds > 2 * self._tolerance_seconds:\n",
            ),
        ),
    ),
    PlantedBug(
        name="only the newest secret verifies",
        campaign="rotation",
        breaks=("I2",),
        patches=(
            Patch(
                file="app/dots/signature.py",
                old="        self._keys = tuple(keys)\n",
                new="        self._keys = tuple(keys)[:1]\n",
            ),
        ),
    ),
    PlantedBug(
        name="a POST without an answer taken for one that failed",
        campaign="creates",
        breaks=("I9",),
        patches=(
            Patch(
                file="app/errors.py",
                old='request that was sent; it may have been carried out."""\n\n    may_have_acted = True\n',
                new='request that was sent; it may have been carried out."""\n',
            ),
        ),
    ),
    PlantedBug(
        name="any 4xx is final",
        campaign="creates",
        breaks=("I9",),
        patches=(
            Patch(
                file="app/errors.py",
                old="        return False\n",
                new="        return 400 <= (self.status or 0) < 500\n",
            ),
        ),
    ),
    PlantedBug(
        name="any 403 pauses the app",
        campaign="storm",
        breaks=("I0", "I3", "I4"),
        patches=(
            Patch(
                file="app/dots/client.py",
                old="            if await self._are_credentials_refused():\n",
                new="            await self.gate.pause()\n            if error.status:\n",
            ),
        ),
    ),
    PlantedBug(
        name="a flow found late asked for again",
        campaign="late",
        breaks=("I9",),
        patches=(
            Patch(
                file="app/flows/discover_flows.py",
                old="            await listing_rows.forget_searches(connection, found)\n",
                new="            del found\n",
            ),
        ),
    ),
    PlantedBug(
        name="steps Dots leaves out taken back",
        campaign="machine",
        breaks=("I0", "I3", "I4", "I5", "I6"),
        patches=(
            Patch(
                file="app/flows/rules/progress.py",
                old="    completed = known.completed + newly_completed\n",
                new="    completed = reported\n",
            ),
            Patch(
                file="app/flows/flow_rows.py",
                old="""        completed_at = COALESCE(s.completed_at, excluded.completed_at),
        discovered_by = COALESCE(s.discovered_by, excluded.discovered_by)
    WHERE s.position <> excluded.position OR (s.completed_at IS NULL AND excluded.completed_at IS NOT NULL)
""",
                new="        completed_at = excluded.completed_at, discovered_by = excluded.discovered_by\n",
            ),
        ),
    ),
)
