"""The table of stored webhooks."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from app.storage.tables import MOMENT, metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("app", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("received_at", MOMENT, nullable=False),
    Column("last_received_at", MOMENT, nullable=False),
    Column("received_count", Integer, nullable=False),
    Column("body", LargeBinary, comment="raw, as signed; null: expired"),
    Column("event", Text),
    Column("kind", Text, comment="flow, user, or null for neither"),
    Column("subject_id", Text),
    Column("raised_gen", BigInteger, comment="handled once the sync row's clean_gen has reached it"),
    PrimaryKeyConstraint("app", "message_id"),
    CheckConstraint("kind IN ('flow', 'user')", name="kind"),
    # Only the subject's index takes its entries in random order; the others grow at one end or a few, which is cheap.
    Index("webhooks_subject_idx", "subject_id", "received_at", postgresql_where=text("subject_id IS NOT NULL")),
    Index("webhooks_event_idx", "event", "received_at", postgresql_where=text("event IS NOT NULL")),
    Index("webhooks_received_at_idx", "received_at"),
    Index("webhooks_body_idx", "received_at", postgresql_where=text("body IS NOT NULL")),
)
