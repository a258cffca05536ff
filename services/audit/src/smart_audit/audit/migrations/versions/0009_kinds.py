"""Which kinds of event a reader that knows some does not know yet; whether reads are recorded."""

from alembic import op

revision = "0009"
down_revision = "0008"

# A projection counts the batches that changed kinds, and each kind has the count of its own change.
REVISIONS = """
ALTER TABLE audit.projections ADD COLUMN kinds bigint NOT NULL DEFAULT 0;
ALTER TABLE audit.phrases ADD COLUMN revision bigint NOT NULL DEFAULT 0;
"""

# Asked beside each read, by one statement without a transaction around it.
READS = """
CREATE FUNCTION audit.records_reads(log uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
    SELECT coalesce(
        (SELECT records_reads FROM audit.log_settings WHERE organisation_id = log), true
    )
$$;
REVOKE ALL ON FUNCTION audit.records_reads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.records_reads TO smart_audit_audit;
"""


def upgrade() -> None:
    op.execute(REVISIONS)
    op.execute(READS)
