"""A feed whose end follows from its events."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade to this revision."""
    op.drop_column("feed", "last_position")


def downgrade() -> None:
    """Downgrade to the revision before."""
    op.add_column("feed", sa.Column("last_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.execute("UPDATE feed SET last_position = GREATEST(expired_position, (SELECT max(position) FROM events))")
