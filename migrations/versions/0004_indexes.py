"""An index for every list, in the list's own order."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade to this revision. The indexes of `webhooks` take seconds for each million rows; receiving waits."""
    # Flows and users are looked up by id alone. Before Postgres 18 an index that begins with `app` is no help there.
    op.drop_constraint("flows_app_id_key", "flows")
    op.create_unique_constraint("flows_id_app_key", "flows", ["id", "app"])
    op.drop_constraint("users_pkey", "users")
    op.create_primary_key("users_pkey", "users", ["id", "app"])
    op.drop_index("users_pending_idx", table_name="users")
    op.create_index(
        "users_pending_idx", "users", ["app", "check_submitted_at"], postgresql_where=sa.text("verdict = 'pending'")
    )

    op.drop_index("flows_reference_idx", table_name="flows")
    op.drop_index("flows_user_id_idx", table_name="flows")
    op.create_index("flows_app_idx", "flows", ["app", "created_at", "ref"])
    op.create_index("flows_status_idx", "flows", ["status", "created_at", "ref"])
    for name in ("reference", "user_id"):
        op.create_index(
            f"flows_{name}_idx", "flows", [name, "created_at", "ref"], postgresql_where=sa.text(f"{name} IS NOT NULL")
        )
    op.create_index(
        "flow_steps_pending_idx", "flow_steps", ["name", "flow_ref"], postgresql_where=sa.text("completed_at IS NULL")
    )

    op.drop_index("webhooks_subject_idx", table_name="webhooks")
    for name in ("subject_id", "event"):
        op.create_index(
            f"webhooks_{name.removesuffix('_id')}_idx",
            "webhooks",
            [name, "received_at"],
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    op.create_index(
        "webhooks_merged_idx",
        "webhooks",
        ["subject_id"],
        postgresql_where=sa.text("event = 'user.updated.user_merged'"),
    )
    op.create_index("webhooks_body_idx", "webhooks", ["received_at"], postgresql_where=sa.text("body IS NOT NULL"))

    op.drop_index("sync_rows_dead_at_idx", table_name="sync_rows")
    op.create_index(
        "sync_rows_dead_at_idx", "sync_rows", ["app", "dead_at"], postgresql_where=sa.text("dead_at IS NOT NULL")
    )
    op.create_index(
        "sync_rows_failing_idx",
        "sync_rows",
        ["app"],
        postgresql_where=sa.text("due_at IS NOT NULL AND attempts > 0"),
    )
    op.drop_index("refreshes_subject_idx", table_name="refreshes")
    op.create_index("refreshes_subject_idx", "refreshes", ["subject_id", "id"])


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_index("refreshes_subject_idx", table_name="refreshes")
    op.create_index("refreshes_subject_idx", "refreshes", ["app", "kind", "subject_id", "id"])
    op.drop_index("sync_rows_failing_idx", table_name="sync_rows")
    op.drop_index("sync_rows_dead_at_idx", table_name="sync_rows")
    op.create_index("sync_rows_dead_at_idx", "sync_rows", ["dead_at"], postgresql_where=sa.text("dead_at IS NOT NULL"))

    op.drop_index("webhooks_body_idx", table_name="webhooks")
    op.drop_index("webhooks_merged_idx", table_name="webhooks")
    op.drop_index("webhooks_event_idx", table_name="webhooks")
    op.drop_index("webhooks_subject_idx", table_name="webhooks")
    op.create_index(
        "webhooks_subject_idx",
        "webhooks",
        ["app", "kind", "subject_id"],
        postgresql_where=sa.text("kind IS NOT NULL"),
    )

    op.drop_index("flow_steps_pending_idx", table_name="flow_steps")
    op.drop_index("flows_user_id_idx", table_name="flows")
    op.drop_index("flows_reference_idx", table_name="flows")
    op.drop_index("flows_status_idx", table_name="flows")
    op.drop_index("flows_app_idx", table_name="flows")
    op.create_index("flows_user_id_idx", "flows", ["app", "user_id"], postgresql_where=sa.text("user_id IS NOT NULL"))
    op.create_index("flows_reference_idx", "flows", ["reference"], postgresql_where=sa.text("reference IS NOT NULL"))

    op.drop_index("users_pending_idx", table_name="users")
    op.create_index(
        "users_pending_idx", "users", ["check_submitted_at"], postgresql_where=sa.text("verdict = 'pending'")
    )
    op.drop_constraint("users_pkey", "users")
    op.create_primary_key("users_pkey", "users", ["app", "id"])
    op.drop_constraint("flows_id_app_key", "flows")
    op.create_unique_constraint("flows_app_id_key", "flows", ["app", "id"])
