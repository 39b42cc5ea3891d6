"""The first schema; the statements are in the SQL file beside this one."""

import re
from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n")
TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
COLUMN_COMMENT = re.compile(r"^    (\w+) .*  -- (.+)$", re.MULTILINE)


def upgrade() -> None:
    """Create all tables."""
    for statement in filter(str.strip, STATEMENTS):
        op.execute(statement)
        for table in TABLE.findall(statement):
            for column, comment in COLUMN_COMMENT.findall(statement):
                quoted = comment.replace("'", "''")
                op.execute(f"COMMENT ON COLUMN {table}.{column} IS '{quoted}'")


def downgrade() -> None:
    """Drop all tables. Tables that refer to others go first."""
    for statement in reversed(STATEMENTS):
        for table in TABLE.findall(statement):
            op.drop_table(table)
