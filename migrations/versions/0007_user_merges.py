"""Merges of users are noted when Dots announces them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

IS_MERGE = "event = 'user.updated.user_merged'"

# What waited to be applied when the old version stopped. The ids are taken out of the raw bytes as text, which cannot
# fail whatever a body holds.
TAKE_WAITING = f"""
    INSERT INTO user_merges (app, old_user_id, new_user_id, survivor_id, received_at)
    SELECT DISTINCT ON (app, old_user_id) app, old_user_id, subject_id, subject_id, received_at
    FROM (
        SELECT w.app, w.subject_id, w.received_at,
            lower(substring(
                encode(w.body, 'escape') FROM '"old_user_id"\\s*:\\s*"([0-9A-Za-z-]{{36}})"'
            )) AS old_user_id
        FROM webhooks w
        JOIN sync_rows s USING (app, kind, subject_id)
        WHERE w.{IS_MERGE} AND w.kind = 'user' AND w.raised_gen > s.clean_gen
    ) AS waiting
    WHERE old_user_id <> subject_id
    ORDER BY app, old_user_id, received_at DESC
"""  # noqa: S608  # no input in it


def upgrade() -> None:
    """Upgrade to this revision."""
    op.create_table(
        "user_merges",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("old_user_id", sa.Text(), nullable=False),
        sa.Column("new_user_id", sa.Text(), nullable=False),
        sa.Column("survivor_id", sa.Text(), nullable=False, comment="whose refresh applies it: the end of the chain"),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "applied_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: the flows and checks of the old user have still to move",
        ),
        sa.PrimaryKeyConstraint("app", "old_user_id", name=op.f("user_merges_pkey")),
    )
    op.create_index(
        "user_merges_waiting_idx",
        "user_merges",
        ["app", "survivor_id"],
        unique=False,
        postgresql_where=sa.text("applied_at IS NULL"),
    )
    op.execute(TAKE_WAITING)
    op.drop_index("webhooks_merged_idx", table_name="webhooks", postgresql_where=sa.text(IS_MERGE))


def downgrade() -> None:
    """Go back to the revision before. The index takes seconds for each million webhooks; receiving waits."""
    op.create_index("webhooks_merged_idx", "webhooks", ["subject_id"], unique=False, postgresql_where=sa.text(IS_MERGE))
    op.drop_table("user_merges")
