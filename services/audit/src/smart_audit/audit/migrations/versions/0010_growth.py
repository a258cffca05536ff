"""How much all logs hold together, and how far search is behind, for those who watch."""

from alembic import op

revision = "0010"
down_revision = "0009"

# Sums, and nothing of one organisation. The age of what is not projected is asked of some logs that
# are behind: after a change of the projection all are, and the oldest entry of some says as much.
GROWTH = """
CREATE FUNCTION audit.growth(
    OUT logs bigint, OUT entries bigint, OUT unprojected bigint, OUT unprojected_since timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
    WITH behind AS MATERIALIZED (
        SELECT logs.organisation_id, logs.size, coalesce(done.size, 0) AS done
        FROM audit.logs LEFT JOIN audit.projections AS done
            ON done.organisation_id = logs.organisation_id
        WHERE logs.size > coalesce(done.size, 0)
    )
    SELECT (SELECT count(*) FROM audit.logs),
        (SELECT coalesce(sum(size), 0)::bigint FROM audit.logs),
        (SELECT coalesce(sum(size - done), 0)::bigint FROM behind),
        (
            SELECT min(first.recorded_at) FROM (SELECT * FROM behind LIMIT 100) AS chosen
            JOIN audit.entries AS first
                ON first.organisation_id = chosen.organisation_id AND first.log_index = chosen.done
        )
$$;
REVOKE ALL ON FUNCTION audit.growth FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.growth TO smart_audit_audit;
"""


def upgrade() -> None:
    op.execute(GROWTH)
