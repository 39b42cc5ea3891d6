"""A budget of calls, listings of Dots' flows, and dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade to this revision."""
    op.add_column(
        "apps",
        sa.Column("tokens", sa.Double(), nullable=True, comment="of the budget, at tokens_at; null: a full bucket"),
    )
    op.add_column("apps", sa.Column("tokens_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "apps",
        sa.Column(
            "listing_due_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when to page through Dots' list of flows next; null: now",
        ),
    )
    op.add_column(
        "apps",
        sa.Column("listing_until", sa.DateTime(timezone=True), nullable=True, comment="while a process is paging"),
    )
    op.add_column(
        "flows",
        sa.Column(
            "searches",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="complete listings without it",
        ),
    )
    op.create_index(
        "flows_creating_idx",
        "flows",
        ["app", "attempted_at"],
        unique=False,
        postgresql_where=sa.text("status = 'creating'"),
    )
    op.add_column(
        "sync_rows",
        sa.Column(
            "failing_since", sa.DateTime(timezone=True), nullable=True, comment="since when every attempt has failed"
        ),
    )
    op.add_column(
        "sync_rows",
        sa.Column(
            "dead_at", sa.DateTime(timezone=True), nullable=True, comment="given up, until somebody makes it due again"
        ),
    )
    op.create_check_constraint(op.f("sync_rows_dead_at_check"), "sync_rows", "dead_at IS NULL OR due_at IS NULL")
    op.create_index(
        "sync_rows_asked_for_idx",
        "sync_rows",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL AND due_by <> 'sweep'"),
    )
    op.create_index(
        "sync_rows_dead_at_idx", "sync_rows", ["dead_at"], unique=False, postgresql_where=sa.text("dead_at IS NOT NULL")
    )
    op.add_column(
        "users",
        sa.Column("merged_into", sa.Text(), nullable=True, comment="the user Dots has made of this one and another"),
    )
    op.create_index(
        "users_pending_idx",
        "users",
        ["check_submitted_at"],
        unique=False,
        postgresql_where=sa.text("verdict = 'pending'"),
    )


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_index("users_pending_idx", table_name="users", postgresql_where=sa.text("verdict = 'pending'"))
    op.drop_column("users", "merged_into")
    op.drop_index("sync_rows_dead_at_idx", table_name="sync_rows", postgresql_where=sa.text("dead_at IS NOT NULL"))
    op.drop_index(
        "sync_rows_asked_for_idx",
        table_name="sync_rows",
        postgresql_where=sa.text("due_at IS NOT NULL AND due_by <> 'sweep'"),
    )
    op.drop_constraint(op.f("sync_rows_dead_at_check"), "sync_rows")
    op.drop_column("sync_rows", "dead_at")
    op.drop_column("sync_rows", "failing_since")
    op.drop_index("flows_creating_idx", table_name="flows", postgresql_where=sa.text("status = 'creating'"))
    op.drop_column("flows", "searches")
    op.drop_column("apps", "listing_until")
    op.drop_column("apps", "listing_due_at")
    op.drop_column("apps", "tokens_at")
    op.drop_column("apps", "tokens")
