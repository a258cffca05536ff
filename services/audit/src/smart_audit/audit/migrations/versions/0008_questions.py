"""Which logs have kinds of event that are not embedded yet."""

from alembic import op

revision = "0008"
down_revision = "0007"

# A log is asked for its first phrase without a vector, and no further.
EMBED = """
CREATE FUNCTION audit.organisations_to_embed(wanted text) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
    SELECT projections.organisation_id FROM audit.projections
    WHERE EXISTS (
        SELECT FROM audit.phrases
        WHERE phrases.organisation_id = projections.organisation_id AND NOT EXISTS (
            SELECT FROM audit.phrase_vectors AS made
            WHERE made.organisation_id = phrases.organisation_id AND made.model = wanted
                AND made.phrase_id = phrases.phrase_id
        )
    ) OR EXISTS (
        SELECT FROM audit.phrase_vectors AS made
        WHERE made.organisation_id = projections.organisation_id AND made.model <> wanted
    )
$$;
REVOKE ALL ON FUNCTION audit.organisations_to_embed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.organisations_to_embed TO smart_audit_audit;
"""


def upgrade() -> None:
    op.execute(EMBED)
