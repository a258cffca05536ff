"""Which kinds of event a reader that knows some already has not seen yet."""

from alembic import op

revision = "0009"
down_revision = "0008"

# A projection counts the batches that changed kinds, and each kind has the count of its own change.
REVISIONS = """
ALTER TABLE audit.projections ADD COLUMN kinds bigint NOT NULL DEFAULT 0;
ALTER TABLE audit.phrases ADD COLUMN revision bigint NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    op.execute(REVISIONS)
