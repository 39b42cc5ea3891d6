"""The tables of events and of the feed they form."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.storage.tables import MOMENT, metadata

events = Table(
    "events",
    metadata,
    Column("row_id", BigInteger, Identity(always=True), primary_key=True, comment="order of insertion; internal"),
    Column("id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("sequence", Integer, nullable=False, comment="1, 2, 3, … within the subject"),
    Column("occurred_at", MOMENT, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("position", BigInteger, comment="in the feed; the sequencer sets it after the commit"),
    UniqueConstraint("id"),
    UniqueConstraint("app", "subject", "sequence"),
    UniqueConstraint("position"),
    Index("events_unsequenced_idx", "row_id", postgresql_where=text("position IS NULL")),
    Index("events_occurred_at_idx", "occurred_at", postgresql_using="brin"),
)

feed = Table(
    "feed",
    metadata,
    Column("is_singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", Uuid, nullable=False, comment="changes after a restore, so that old cursors are refused"),
    Column(
        "expired_position",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="events after this position are kept",
    ),
    CheckConstraint("is_singleton", name="is_singleton"),
)
