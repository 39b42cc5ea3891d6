"""Bugs that the campaigns must catch. `plant` runs a campaign with one of them in its processes.

Each bug replaces the functions and values that `changes` names, by those of `bug_changes`. The product's files
stay as they are. SQL is the only text that is changed, by pattern.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from tests.faults.campaigns import bug_changes, replacing
from tests.faults.campaigns.bug_changes import always, sql
from tests.faults.campaigns.replacing import Change

VARIABLE = "PLANTED_BUG"

# What the bugs change, by dotted name. Where a function moves, only this changes.
RECEIVE = "app.webhooks.receive_webhook:WebhookReceiver.receive"
STORE_WEBHOOKS_SQL = "app.webhooks.webhook_rows:_STORE"
SESSION_SETTINGS = "app.storage.sessions:_SETTINGS"
DURABLE_SQL = "app.storage.sessions:_DURABLE"
BEGIN_TIMEOUT = "app.storage.sessions:BEGIN_TIMEOUT_SECONDS"
JUDGE_SESSION = "app.storage.sessions:Sessions.judge"
SETTLE_SQL = "app.flows.sync_rows:_SETTLE"
NEXT_LOOK = "app.flows.rules.schedule:next_refresh"
APPEND_EVENTS = "app.feed.event_rows:append_all"
STAMP = "app.feed.event_rows:stamp"
STAMP_SQL = "app.feed.event_rows:_STAMP"
SEQUENCER_LOCK_SQL = "app.feed.event_rows:_TRY_LOCK"
LOCK_FLOW = "app.flows.flow_rows:_locked"
LOCK_FREE_FLOWS = "app.flows.flow_rows:lock_free"
LOCK_FREE_FLOWS_SQL = "app.flows.flow_rows:_LOCK_FREE"
SAVE_STEPS_SQL = "app.flows.flow_rows:_SAVE_STEPS"
MERGE_PROGRESS = "app.flows.rules.progress:merge"
READ_TIMESTAMP = "app.dots.signature:Verifier._read_timestamp"
MAKE_VERIFIER = "app.dots.signature:Verifier.__init__"
MAY_HAVE_ACTED = "app.errors:DotsUnansweredError.may_have_acted"
IS_FINAL = "app.errors:DotsError.is_final"
CREDENTIALS_REFUSED = "app.dots.client:DotsClient._are_credentials_refused"
FORGET_SEARCHES = "app.flows.listing_rows:forget_searches"
PUSH = "app.subscriptions.push.http_push:Pusher.push"
FIRST_DELIVERIES_SQL = "app.subscriptions.delivery_rows:_HEADS"
MAKE_DELIVERIES_SQL = "app.subscriptions.delivery_rows:_MAKE"
LEASED_SQL = tuple(f"app.subscriptions.queue_rows:{name}" for name in ("_LOCK", "_CLOSE", "_LEAVE", "_RELEASE"))
CLAIM_BATCH = "app.brokers.publish_feed:_claim"


@dataclass(frozen=True, kw_only=True)
class PlantedBug:
    """A bug, and the campaign that must catch it by a violation of at least one of the invariants in `breaks`."""

    name: str
    campaign: str
    breaks: tuple[str, ...]
    changes: Mapping[str, Change]


def plant(name: str | None) -> None:
    """Put the bug of this name into the process. None plants nothing."""
    if name is None:
        return
    bug = next(each for each in PLANTED_BUGS if each.name == name)
    for target, change in bug.changes.items():
        replacing.replace(target, change)


def _bug(name: str, campaign: str, *breaks: str, changes: Mapping[str, Change]) -> PlantedBug:
    return PlantedBug(name=name, campaign=campaign, breaks=breaks, changes=changes)


_ANY_TOKEN = sql((r"lease_token = :token", "CAST(:token AS uuid) IS NOT NULL"))
_ANY_CLAIM = sql((r"s\.lease_token = i\.token", "i.token IS NOT NULL"))
_DO_NOTHING = sql((r"(ON CONFLICT \(app, message_id\)) DO UPDATE SET [^()]*GREATEST\([^()]*\)", r"\1 DO NOTHING"))
_CLEAR_ALL = sql(
    (r"GREATEST\(((?:\w+\.)?)clean_gen,", r"GREATEST(\1dirty_gen,"),
    (r"CASE WHEN (?:\w+\.)?dirty_gen > \S+ THEN (?:\w+\.)?due_at ELSE (\S+) END", r"\1"),
)
_LOCK_INSIDE = sql(
    (r"row_id > :floor ORDER", "row_id > :floor AND (SELECT pg_advisory_xact_lock(7300002) IS NOT NULL) ORDER")
)
_TAKE_STEPS_BACK = sql(
    (
        r"completed_at = COALESCE\(.*",
        "completed_at = excluded.completed_at, discovered_by = excluded.discovered_by",
    )
)
_ANY_4XX = property(lambda error: 400 <= (error.status or 0) < 500)

# From a webhook or a creation to the feed.
_STATE = (
    _bug("acknowledged before the commit", "killings", "I1", changes={RECEIVE: bug_changes.acknowledge_first}),
    _bug(
        "synchronous_commit = off", "killings", "I1", "I5", "I6", "I7",
        changes={
            SESSION_SETTINGS: lambda settings: {**settings, "synchronous_commit": "off"},
            DURABLE_SQL: sql((r"= 'off'", "= 'unheard of'")),
        },
    ),
    _bug("ON CONFLICT DO NOTHING for repeats", "storm", "I1", changes={STORE_WEBHOOKS_SQL: _DO_NOTHING}),
    _bug("body stored as parsed", "storm", "I1", changes={RECEIVE: bug_changes.parse_body}),
    _bug("events in a second transaction", "crashes", "I6", changes={APPEND_EVENTS: bug_changes.commit_first}),
    _bug("generation cleared unconditionally", "calm", "I4", changes={SETTLE_SQL: _CLEAR_ALL}),
    _bug("sweeps forgotten", "silence", "I4", changes={NEXT_LOOK: bug_changes.skip_early_ages}),
    _bug(
        "feed read by serial id", "writers", "I7",
        changes={STAMP_SQL: sql((r"position = last\.position \+ next\.nth", "position = events.row_id"))},
    ),
    _bug(
        "sequencer's lock in the same statement", "writers", "I0", "I7",
        changes={SEQUENCER_LOCK_SQL: always(text("SELECT true")), STAMP_SQL: _LOCK_INSIDE},
    ),
    _bug(
        "events without the flow's row lock", "writers", "I0",
        changes={LOCK_FLOW: bug_changes.lock_nothing, LOCK_FREE_FLOWS_SQL: sql((r" FOR UPDATE OF f SKIP LOCKED", ""))},
    ),
    _bug(
        "steps read in the statement that waits for the lock", "writers", "I0",
        changes={
            LOCK_FLOW: bug_changes.lock_and_read_at_once,
            LOCK_FREE_FLOWS: bug_changes.lock_free_and_read_at_once,
        },
    ),
    _bug("no fencing token", "fencing", "I4", "I6", changes={SETTLE_SQL: _ANY_CLAIM}),
    _bug("old signatures taken", "clock", "I2", changes={READ_TIMESTAMP: bug_changes.take_old}),
    _bug("only the newest secret verifies", "rotation", "I2", changes={MAKE_VERIFIER: bug_changes.keep_newest_key}),
    _bug(
        "a POST without an answer taken for one that failed", "creates", "I9",
        changes={MAY_HAVE_ACTED: always(value=False)},
    ),
    _bug("any 4xx is final", "creates", "I9", changes={IS_FINAL: always(_ANY_4XX)}),
    _bug("any 403 pauses the app", "storm", "I0", "I3", "I4", changes={CREDENTIALS_REFUSED: bug_changes.pause_at_once}),
    _bug("a flow found late asked for again", "late", "I9", changes={FORGET_SEARCHES: bug_changes.forget_nothing}),
    _bug(
        "steps Dots leaves out taken back", "machine", "I0", "I3", "I4", "I5", "I6",
        changes={MERGE_PROGRESS: bug_changes.believe_latest, SAVE_STEPS_SQL: _TAKE_STEPS_BACK},
    ),
)  # fmt: skip

# From the feed to subscribers and the broker.
_DELIVERY = (
    _bug("delivery marked before the answer", "silence", "I10", changes={PUSH: bug_changes.answer_for_subscriber}),
    _bug(
        "a delivery that failed lets later ones pass", "silence", "I11",
        changes={FIRST_DELIVERIES_SQL: sql((r"ORDER BY position LIMIT 1", "ORDER BY attempts, position LIMIT 1"))},
    ),
    _bug(
        "verdicts sent to those who may not know them", "silence", "I10",
        changes={MAKE_DELIVERIES_SQL: sql((r"s\.with_compliance OR", "TRUE OR"))},
    ),
    _bug("deliveries made in a second transaction", "crashes", "I10", changes={STAMP: bug_changes.commit_afterwards}),
    _bug("a delivery settled after its lease", "fencing", "I10", changes=dict.fromkeys(LEASED_SQL, _ANY_TOKEN)),
    _bug(
        "the broker's cursor moved before it has confirmed", "broker", "I10",
        changes={CLAIM_BATCH: bug_changes.move_first},
    ),
)  # fmt: skip

# How sessions with Postgres are given up.
_SESSIONS = (
    _bug("read-only sessions kept in the pool", "failover", "I3", changes={JUDGE_SESSION: bug_changes.trust_read_only}),
    _bug("silent sessions waited for like slow ones", "silent network", "I3", changes={BEGIN_TIMEOUT: always(20.0)}),
)  # fmt: skip

PLANTED_BUGS = (*_STATE, *_DELIVERY, *_SESSIONS)
