"""What callers were told, in a table of its own that is emptied; why a creation has failed, on its flow."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade to this revision.

    Answers of before were internal records. They go: their keys answer with the flow as it is. Those errors stay final
    that say that the request was wrong.
    """
    op.add_column(
        "flows",
        sa.Column("error", postgresql.JSONB(), nullable=True, comment="why Dots has made none; nothing of Dots' prose"),
    )
    op.execute("""
        UPDATE flows
        SET error = jsonb_build_object(
            'code', answer -> 'error',
            'dots_status', answer -> 'status',
            'dots_error_code', answer -> 'error_code',
            'is_final', COALESCE(
                answer ->> 'status' IN ('400', '422')
                AND answer ->> 'error_code' NOT IN ('service-unavailable', 'resource-busy'), false
            )
        )
        WHERE status = 'failed' AND answer ? 'error'
    """)
    op.drop_column("flows", "answer")
    op.create_table(
        "answers",
        sa.Column("flow_ref", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "answer",
            sa.JSON(),
            nullable=False,
            comment="as it was given, with the secret link; for a repeat of the key",
        ),
        sa.ForeignKeyConstraint(["flow_ref"], ["flows.ref"], name=op.f("answers_flow_ref_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("flow_ref", name=op.f("answers_pkey")),
    )
    op.create_index("answers_answered_at_idx", "answers", ["answered_at"])
    op.alter_column(
        "apps", "paused_until", comment="no call before: Dots refuses the credentials, or has asked for a pause"
    )
    op.alter_column("apps", "pauses", comment="refusals of the credentials in a row")


def downgrade() -> None:
    """Downgrade to the revision before; a creation that failed for good is told so again."""
    op.alter_column("apps", "pauses", comment="in a row")
    op.alter_column("apps", "paused_until", comment="no refresh before; set when Dots refuses the credentials")
    op.drop_table("answers")
    op.add_column(
        "flows",
        sa.Column(
            "answer",
            postgresql.JSONB(),
            nullable=True,
            comment="what the first caller was told: a flow or an error",
        ),
    )
    op.execute("""
        UPDATE flows
        SET answer = jsonb_build_object(
            'error', error -> 'code', 'status', error -> 'dots_status', 'error_code', error -> 'dots_error_code'
        )
        WHERE status = 'failed' AND error @> '{"is_final": true}'
    """)
    op.drop_column("flows", "error")
