"""The tables of API keys and of the audit of sensitive reads."""

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from app.storage.tables import MOMENT, metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, comment="the caller; several keys of one name are one caller"),
    Column("secret_hash", LargeBinary, nullable=False, comment="SHA-256 of 32 random bytes"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("revoked_at", MOMENT),
)

compliance_reads = Table(
    "compliance_reads",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("read_at", MOMENT, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("what", Text, nullable=False, comment="a user, or a range of the feed"),
    Index("compliance_reads_read_at_idx", "read_at"),
)
