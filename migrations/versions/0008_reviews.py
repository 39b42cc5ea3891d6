"""Background checks that need review, and flows that wait only for steps that were passed over."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FORMER_POSITION = "as listed by Dots; steps it never listed come last"
POSITION = "as listed by Dots; steps it never listed come first"
WITHOUT_A_FINDING = "('consider', 'information_mismatch', 'canceled', 'expired', 'failed')"


def upgrade() -> None:
    """Upgrade to this revision. The check and the indexes take about a second for each million users and flows."""
    op.add_column(
        "users",
        sa.Column(
            "older_check_failed",
            sa.Boolean(),
            comment="what Dots' check before 2026 came to; null: Dots did not say",
        ),
    )
    op.add_column(
        "users",
        sa.Column(
            "reviews_told",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Dots' statuses for which a review was asked for",
        ),
    )
    op.drop_constraint(op.f("users_verdict_check"), "users")
    op.create_check_constraint(
        op.f("users_verdict_check"), "users", "verdict IN ('none', 'pending', 'needs_review', 'cleared', 'flagged')"
    )
    op.create_index("users_review_idx", "users", ["app"], postgresql_where=sa.text("verdict = 'needs_review'"))
    op.add_column(
        "flows",
        sa.Column(
            "waits_for_passed_over",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="only for steps that were passed over",
        ),
    )
    op.create_index("flows_passed_over_idx", "flows", ["app"], postgresql_where=sa.text("waits_for_passed_over"))
    op.alter_column("flow_steps", "position", comment=POSITION, existing_comment=FORMER_POSITION)
    # Polls of these users may have ended long ago: Dots is asked once more, which says that they need review.
    op.execute(
        f"""
        UPDATE sync_rows s
        SET dirty_gen = s.dirty_gen + 1, due_at = LEAST(s.due_at, now()), due_by = 'refresh', attempts = 0,
            dead_at = NULL
        FROM (
            SELECT r.app, r.kind, r.subject_id
            FROM users u JOIN sync_rows r ON r.app = u.app AND r.kind = 'user' AND r.subject_id = u.id
            WHERE u.verdict = 'pending' AND u.check_status IN {WITHOUT_A_FINDING} AND u.merged_into IS NULL
            ORDER BY r.app, r.kind, r.subject_id
            FOR UPDATE OF r
        ) AS due
        WHERE s.app = due.app AND s.kind = due.kind AND s.subject_id = due.subject_id
        """  # noqa: S608  # no input in it
    )


def downgrade() -> None:
    """Go back to the revision before; what needs review is pending again."""
    op.alter_column("flow_steps", "position", comment=FORMER_POSITION, existing_comment=POSITION)
    op.drop_index("flows_passed_over_idx", table_name="flows")
    op.drop_column("flows", "waits_for_passed_over")
    op.drop_index("users_review_idx", table_name="users")
    op.execute("UPDATE users SET verdict = 'pending' WHERE verdict = 'needs_review'")
    op.drop_constraint(op.f("users_verdict_check"), "users")
    op.create_check_constraint(
        op.f("users_verdict_check"), "users", "verdict IN ('none', 'pending', 'cleared', 'flagged')"
    )
    op.drop_column("users", "reviews_told")
    op.drop_column("users", "older_check_failed")
