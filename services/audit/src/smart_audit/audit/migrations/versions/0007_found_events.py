"""What readers of the projection see: the events of the transaction's organisation."""

from alembic import op

revision = "0007"
down_revision = "0006"

# A policy is a barrier: no operator that is not leakproof, such as those of arrays, may use an
# index behind it, so that each search by terms would read the whole log. A view of the owner's has
# the same condition and is no barrier. The policy stays for the table, which only the projector
# needs.
VIEW = """
CREATE VIEW audit.found_events AS SELECT * FROM audit.search_events
WHERE organisation_id = (SELECT nullif(current_setting('audit.organisation_id', true), '')::uuid);
GRANT SELECT ON audit.found_events TO smart_audit_audit;
"""


def upgrade() -> None:
    op.execute(VIEW)
