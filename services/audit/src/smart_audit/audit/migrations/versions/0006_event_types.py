"""The registry of event types, saved searches, and whether reads are recorded."""

from alembic import op

revision = "0006"
down_revision = "0005"

READS = """
ALTER TABLE audit.log_settings ADD COLUMN records_reads boolean NOT NULL DEFAULT true;
"""

# A version of an event type never changes. The registry's own version grows with each change, so
# that an append can tell whether its events were held against the one in force.
EVENT_TYPES = """
CREATE TABLE audit.event_type_registries (
    organisation_id uuid PRIMARY KEY,
    version bigint NOT NULL CHECK (version > 0),
    unknown_actions smallint NOT NULL DEFAULT 1,
    invalid_metadata smallint NOT NULL DEFAULT 1
);

CREATE TABLE audit.event_types (
    organisation_id uuid NOT NULL,
    action text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    display_name text NOT NULL,
    description text NOT NULL,
    metadata_schema jsonb,
    deleted boolean NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (organisation_id, action, version)
);
"""

# The names and texts of private searches go with their owner; shared ones stay and have no owner.
SAVED_SEARCHES = """
CREATE TABLE audit.saved_searches (
    organisation_id uuid NOT NULL,
    search_id uuid NOT NULL,
    owner_type text,
    owner_id text,
    shared boolean NOT NULL,
    name text NOT NULL,
    query text NOT NULL,
    filter text NOT NULL,
    order_by text NOT NULL,
    group_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, search_id),
    CHECK ((owner_type IS NULL) = (owner_id IS NULL)),
    CHECK (shared OR owner_id IS NOT NULL)
);
CREATE UNIQUE INDEX saved_searches_shared_name_key
    ON audit.saved_searches (organisation_id, lower(name)) WHERE shared;
CREATE UNIQUE INDEX saved_searches_own_name_key
    ON audit.saved_searches (organisation_id, owner_type, owner_id, lower(name));
"""

# That of 0002, which also tells the version of the registry.
OPEN_LOG = """
DROP FUNCTION audit.open_log(uuid, uuid[], uuid[]);
CREATE FUNCTION audit.open_log(
    organisation uuid, event_ids uuid[], key_ids uuid[],
    OUT size bigint, OUT compact_range bytea,
    OUT known_ids uuid[], OUT known_indexes bigint[], OUT destroyed_ids uuid[],
    OUT registry_version bigint
) LANGUAGE plpgsql
SET search_path = pg_catalog, audit SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    PERFORM set_config('audit.organisation_id', organisation::text, true);
    SELECT log.size, log.compact_range INTO size, compact_range
    FROM audit.logs AS log WHERE log.organisation_id = organisation FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO audit.logs (organisation_id, size, compact_range)
        VALUES (organisation, 0, '') ON CONFLICT DO NOTHING;
        SELECT log.size, log.compact_range INTO size, compact_range
        FROM audit.logs AS log WHERE log.organisation_id = organisation FOR UPDATE;
    END IF;
    SELECT array_agg(entry.event_id), array_agg(entry.log_index) INTO known_ids, known_indexes
    FROM audit.entries AS entry
    WHERE entry.organisation_id = organisation AND entry.event_id = ANY (event_ids);
    SELECT array_agg(key.key_id) INTO destroyed_ids
    FROM audit.subject_keys AS key
    WHERE key.organisation_id = organisation AND key.key_id = ANY (key_ids)
        AND key.wrapped_key IS NULL;
    SELECT registry.version INTO registry_version
    FROM audit.event_type_registries AS registry WHERE registry.organisation_id = organisation;
    registry_version := coalesce(registry_version, 0);
END $$;
"""

ROLE = """
REVOKE ALL ON FUNCTION audit.open_log FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.open_log TO smart_audit_audit;
GRANT UPDATE (records_reads) ON audit.log_settings TO smart_audit_audit;
GRANT SELECT, INSERT ON audit.event_type_registries, audit.event_types TO smart_audit_audit;
GRANT UPDATE (version, unknown_actions, invalid_metadata)
    ON audit.event_type_registries TO smart_audit_audit;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit.saved_searches TO smart_audit_audit;
"""

ROW_SECURITY = """
ALTER TABLE audit.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON audit.{table} TO smart_audit_audit USING (
    organisation_id = (SELECT nullif(current_setting('audit.organisation_id', true), '')::uuid)
);
"""
ROW_SECURED = ("event_type_registries", "event_types", "saved_searches")


def upgrade() -> None:
    for statements in (READS, EVENT_TYPES, SAVED_SEARCHES, OPEN_LOG, ROLE):
        op.execute(statements)
    for table in ROW_SECURED:
        op.execute(ROW_SECURITY.format(table=table))
