"""Due rows are found app by app."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

IS_ASKED_FOR = "due_at IS NOT NULL AND due_by <> 'sweep'"
IS_SWEEP = "due_at IS NOT NULL AND due_by = 'sweep'"
IS_DUE = "due_at IS NOT NULL"


def upgrade() -> None:
    """Upgrade to this revision."""
    op.create_index(
        "sync_rows_asked_for_due_idx",
        "sync_rows",
        ["app", "due_at"],
        unique=False,
        postgresql_where=sa.text(IS_ASKED_FOR),
    )
    op.create_index(
        "sync_rows_sweep_due_idx", "sync_rows", ["app", "due_at"], unique=False, postgresql_where=sa.text(IS_SWEEP)
    )
    op.drop_index("sync_rows_asked_for_idx", table_name="sync_rows", postgresql_where=sa.text(IS_ASKED_FOR))
    op.drop_index("sync_rows_due_at_idx", table_name="sync_rows", postgresql_where=sa.text(IS_DUE))


def downgrade() -> None:
    """Go back to the revision before."""
    op.create_index("sync_rows_due_at_idx", "sync_rows", ["due_at"], unique=False, postgresql_where=sa.text(IS_DUE))
    op.create_index(
        "sync_rows_asked_for_idx", "sync_rows", ["due_at"], unique=False, postgresql_where=sa.text(IS_ASKED_FOR)
    )
    op.drop_index("sync_rows_sweep_due_idx", table_name="sync_rows", postgresql_where=sa.text(IS_SWEEP))
    op.drop_index("sync_rows_asked_for_due_idx", table_name="sync_rows", postgresql_where=sa.text(IS_ASKED_FOR))
