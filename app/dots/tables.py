"""The table of Dots apps: their budget of calls, their pauses and their listings."""

from sqlalchemy import Column, Double, Integer, Table, Text, text

from app.storage.tables import MOMENT, metadata

apps = Table(
    "apps",
    metadata,
    Column("app", Text, primary_key=True),
    Column("paused_until", MOMENT, comment="no calls until then: Dots refuses the credentials or asked for a pause"),
    Column(
        "pauses", Integer, nullable=False, server_default=text("0"), comment="consecutive refusals of the credentials"
    ),
    Column("tokens", Double, comment="in the budget at tokens_at; null: full"),
    Column("tokens_at", MOMENT),
    Column("listing_due_at", MOMENT, comment="when to page through Dots' list of flows again; null: now"),
    Column("listing_until", MOMENT, comment="until when a process may page through it"),
)
