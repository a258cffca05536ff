"""Whether reads are recorded."""

from alembic import op

revision = "0006"
down_revision = "0005"

READS = """
ALTER TABLE audit.log_settings ADD COLUMN records_reads boolean NOT NULL DEFAULT true;
GRANT UPDATE (records_reads) ON audit.log_settings TO smart_audit_audit;
"""


def upgrade() -> None:
    op.execute(READS)
