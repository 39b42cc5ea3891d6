"""The tables of subscriptions, their secrets, and deliveries."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.storage.tables import MOMENT, metadata

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("caller", Text, nullable=False, comment="name of the API key that created it"),
    Column("description", Text),
    Column("url", Text, nullable=False),
    Column("types", ARRAY(Text), nullable=False, comment="dots.flow.completed, dots.flow.*, * and the like"),
    Column("app", Text, comment="null: all apps"),
    Column("with_compliance", Boolean, nullable=False, comment="receives events that need compliance:read"),
    Column("created_at", MOMENT, nullable=False),
    Column("paused_at", MOMENT),
    Column("paused_by", Text, comment="caller, gone (it answered 410) or failing (for days)"),
    Column("failing_since", MOMENT, comment="when the failures began"),
    Column("opened_at", MOMENT, comment="when the circuit breaker opened; null: closed"),
    Column("held_until", MOMENT, comment="no deliveries until then"),
    Column("closed_at", MOMENT, comment="when the breaker closed; earlier attempts do not count"),
    CheckConstraint("paused_by IN ('caller', 'gone', 'failing')", name="paused_by"),
    CheckConstraint("(paused_at IS NULL) = (paused_by IS NULL)", name="paused_at"),
)

subscription_secrets = Table(
    "subscription_secrets",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("subscription_id", Uuid, nullable=False),
    Column("key_id", Text, nullable=False, comment="the one of ENCRYPTION_KEYS that encrypted it"),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False, comment="AES-GCM, bound to the subscription"),
    Column("created_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, comment="signs until then, beside a newer secret; null: the newest"),
    ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], ondelete="CASCADE"),
    Index("subscription_secrets_subscription_id_idx", "subscription_id"),
    Index(
        "subscription_secrets_newest_idx",
        "subscription_id",
        unique=True,
        postgresql_where=text("expires_at IS NULL"),
    ),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("subscription_id", Uuid, nullable=False),
    Column("position", BigInteger, nullable=False, comment="of the event in the feed"),
    Column("app", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column(
        "attempts", Integer, nullable=False, server_default=text("0"), comment="failed attempts since it became pending"
    ),
    Column("created_at", MOMENT, nullable=False),
    Column("settled_at", MOMENT, comment="when it was delivered or became a dead letter"),
    Column("last_error", Text, comment="a code"),
    PrimaryKeyConstraint("subscription_id", "position"),
    ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], ondelete="CASCADE"),
    CheckConstraint("state IN ('pending', 'delivered', 'dead')", name="state"),
    CheckConstraint("(state = 'pending') = (settled_at IS NULL)", name="settled_at"),
    Index(
        "deliveries_pending_idx",
        "subscription_id",
        "app",
        "subject",
        "position",
        postgresql_where=text("state = 'pending'"),
    ),
    Index("deliveries_dead_idx", "subscription_id", "position", postgresql_where=text("state = 'dead'")),
    Index("deliveries_position_idx", "position"),
)

delivery_queues = Table(
    "delivery_queues",
    metadata,
    Column("subscription_id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("due_at", MOMENT, nullable=False, comment="when to send its earliest pending delivery"),
    Column("lease_token", Uuid),
    Column("lease_until", MOMENT),
    PrimaryKeyConstraint("subscription_id", "app", "subject"),
    ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], ondelete="CASCADE"),
    CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease"),
    Index("delivery_queues_due_at_idx", "subscription_id", "due_at"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("subscription_id", Uuid, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("attempted_at", MOMENT, nullable=False),
    Column("status", Integer, comment="HTTP status; null: no answer"),
    Column("error", Text, comment="a code; null: it was delivered"),
    Column("took_ms", Integer, nullable=False),
    ForeignKeyConstraint(
        ["subscription_id", "position"], ["deliveries.subscription_id", "deliveries.position"], ondelete="CASCADE"
    ),
    Index("delivery_attempts_delivery_idx", "subscription_id", "position", "id"),
    Index("delivery_attempts_latest_idx", "subscription_id", "id"),
)
