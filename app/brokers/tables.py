"""The table of what each broker has confirmed."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Table, Text, Uuid

from app.storage.tables import MOMENT, metadata

broker_offsets = Table(
    "broker_offsets",
    metadata,
    Column("broker", Text, primary_key=True, comment="URL without credentials"),
    Column("epoch", Uuid, nullable=False),
    Column("position", BigInteger, nullable=False, comment="the broker has confirmed all events up to here"),
    Column("lease_token", Uuid),
    Column("lease_until", MOMENT),
    Column("failing_since", MOMENT),
    Column("last_error", Text, comment="a code"),
    Column("published_at", MOMENT),
    CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease"),
)
