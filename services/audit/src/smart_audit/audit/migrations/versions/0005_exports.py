"""Exports that are written beside the calls, and their files."""

from alembic import op

revision = "0005"
down_revision = "0004"

# A file holds personal data: its chunks are sealed under a key of its own, which is destroyed with
# it. The filter may name persons, too, so it is sealed as well.
EXPORTS = """
CREATE TABLE audit.exports (
    organisation_id uuid NOT NULL,
    export_id uuid NOT NULL,
    format text NOT NULL,
    sealed_filter bytea,
    proofs boolean NOT NULL,
    log_size bigint NOT NULL CHECK (log_size >= 0),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 7),
    lease uuid,
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    mark_index bigint NOT NULL DEFAULT 0,
    mark_occurred_at timestamptz,
    mark_log_index bigint,
    events bigint NOT NULL DEFAULT 0,
    size bigint NOT NULL DEFAULT 0,
    wrapped_key bytea,
    sha256 bytea,
    failure text,
    message text,
    finished_at timestamptz,
    expires_at timestamptz,
    PRIMARY KEY (organisation_id, export_id),
    CHECK ((mark_occurred_at IS NULL) = (mark_log_index IS NULL)),
    CHECK (state IN (1, 2, 3) OR wrapped_key IS NULL)
);
-- A key that was destroyed leaves the file of the table only once it is vacuumed.
ALTER TABLE audit.exports
    SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);
CREATE INDEX exports_created_at_idx ON audit.exports (organisation_id, created_at, export_id);
CREATE INDEX exports_unfinished_idx ON audit.exports (created_at) WHERE state IN (1, 2);

CREATE TABLE audit.export_chunks (
    organisation_id uuid NOT NULL,
    export_id uuid NOT NULL,
    first_byte bigint NOT NULL CHECK (first_byte >= 0),
    size integer NOT NULL CHECK (size > 0),
    sealed bytea NOT NULL,
    PRIMARY KEY (organisation_id, export_id, first_byte),
    FOREIGN KEY (organisation_id, export_id) REFERENCES audit.exports ON DELETE CASCADE
);
-- What is sealed cannot be compressed.
ALTER TABLE audit.export_chunks ALTER COLUMN sealed SET STORAGE EXTERNAL;
"""

# What writes and sweeps beside the calls is for all organisations.
FUNCTIONS = """
CREATE FUNCTION audit.claim_export(new_lease uuid, seconds double precision)
RETURNS TABLE (organisation_id uuid, export_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
    WITH next AS (
        SELECT waiting.organisation_id, waiting.export_id FROM audit.exports AS waiting
        WHERE waiting.state IN (1, 2) AND coalesce(waiting.leased_until, '-infinity') < now()
        ORDER BY waiting.created_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    UPDATE audit.exports AS export SET state = 2, lease = new_lease,
        leased_until = now() + make_interval(secs => seconds), attempts = attempts + 1
    FROM next
    WHERE export.organisation_id = next.organisation_id AND export.export_id = next.export_id
    RETURNING export.organisation_id, export.export_id
$$;

-- Destroys the files that have been kept long enough; then takes away rows of what is destroyed,
-- some at a call; gives whether there may be more.
CREATE FUNCTION audit.sweep_exports(chunks integer, forgotten_after interval) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
DECLARE
    swept integer;
BEGIN
    UPDATE audit.exports SET state = 6, wrapped_key = NULL, sealed_filter = NULL
    WHERE state = 3 AND expires_at <= now();
    DELETE FROM audit.export_chunks AS chunk USING (
        SELECT dead.organisation_id, dead.export_id, dead.first_byte
        FROM audit.exports AS export JOIN audit.export_chunks AS dead
            ON dead.organisation_id = export.organisation_id
            AND dead.export_id = export.export_id
        WHERE export.state > 3 LIMIT chunks
    ) AS found
    WHERE chunk.organisation_id = found.organisation_id
        AND chunk.export_id = found.export_id AND chunk.first_byte = found.first_byte;
    GET DIAGNOSTICS swept = ROW_COUNT;
    IF swept = 0 THEN
        DELETE FROM audit.exports
        WHERE state = 7 OR (state > 3 AND finished_at < now() - forgotten_after);
    END IF;
    RETURN swept > 0;
END $$;
"""

ROLE = """
REVOKE ALL ON FUNCTION audit.claim_export, audit.sweep_exports FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.claim_export, audit.sweep_exports TO smart_audit_audit;
GRANT SELECT, INSERT ON audit.exports TO smart_audit_audit;
GRANT UPDATE (state, lease, leased_until, attempts, mark_index, mark_occurred_at, mark_log_index,
    events, size, wrapped_key, sealed_filter, sha256, failure, message, finished_at, expires_at)
    ON audit.exports TO smart_audit_audit;
GRANT SELECT, INSERT, DELETE ON audit.export_chunks TO smart_audit_audit;
"""

ROW_SECURITY = """
ALTER TABLE audit.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON audit.{table} TO smart_audit_audit USING (
    organisation_id = (SELECT nullif(current_setting('audit.organisation_id', true), '')::uuid)
);
"""


def upgrade() -> None:
    for statements in (EXPORTS, FUNCTIONS, ROLE):
        op.execute(statements)
    for table in ("exports", "export_chunks"):
        op.execute(ROW_SECURITY.format(table=table))
