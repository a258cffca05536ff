"""The log, its tiles and disclosures; the service's role, and what the database denies it."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

CREATE TABLE audit.logs (
    organisation_id uuid PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0),
    compact_range bytea NOT NULL
);

CREATE TABLE audit.entries (
    organisation_id uuid NOT NULL,
    log_index bigint NOT NULL CHECK (log_index >= 0),
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    action text NOT NULL,
    actor_id text NOT NULL,
    outcome smallint NOT NULL,
    tree_size bigint NOT NULL CHECK (tree_size > log_index),
    leaf bytea NOT NULL CHECK (length(leaf) <= 65535),
    leaf_hash bytea NOT NULL CHECK (length(leaf_hash) = 32),
    PRIMARY KEY (organisation_id, log_index),
    UNIQUE (organisation_id, event_id)
);
CREATE INDEX entries_occurred_at_idx ON audit.entries (organisation_id, occurred_at, log_index);
CREATE INDEX entries_actor_id_idx
    ON audit.entries (organisation_id, actor_id, occurred_at, log_index);
CREATE INDEX entries_action_idx ON audit.entries (organisation_id, action, occurred_at, log_index);

CREATE TABLE audit.entry_targets (
    organisation_id uuid NOT NULL,
    target_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    log_index bigint NOT NULL,
    PRIMARY KEY (organisation_id, target_id, occurred_at, log_index)
);

CREATE TABLE audit.disclosures (
    organisation_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    log_index bigint NOT NULL,
    disclosures text[] NOT NULL,
    PRIMARY KEY (organisation_id, recorded_at, log_index)
) PARTITION BY RANGE (recorded_at);

CREATE TABLE audit.tiles (
    organisation_id uuid NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 63),
    tile_index bigint NOT NULL CHECK (tile_index >= 0),
    hashes bytea NOT NULL CHECK (length(hashes) = 8192),
    root bytea NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (organisation_id, level, tile_index)
);

CREATE TABLE audit.checkpoint_keys (
    public_key bytea PRIMARY KEY,
    sealed_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL
);
"""

# The head is the one row of the log that changes, and it may only move forward.
HEAD_GUARD = """
CREATE FUNCTION audit.refuse_shrinking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size <= OLD.size OR NEW.organisation_id <> OLD.organisation_id THEN
        RAISE EXCEPTION 'a log only grows' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER logs_only_grow BEFORE UPDATE ON audit.logs
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_shrinking();
"""

# The service's role makes no tables; this function makes the two months it needs next.
PARTITIONS = """
CREATE FUNCTION audit.ensure_partitions(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, audit SET timezone = 'UTC' AS $$
DECLARE
    first timestamptz;
    name text;
BEGIN
    FOR month IN 0..1 LOOP
        first := date_trunc('month', moment) + make_interval(months => month);
        name := 'disclosures_' || to_char(first, 'YYYY_MM');
        IF to_regclass('audit.' || name) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext(name));
            EXECUTE format(
                'CREATE TABLE IF NOT EXISTS audit.%I PARTITION OF audit.disclosures'
                ' FOR VALUES FROM (%L) TO (%L)',
                name, first, first + interval '1 month');
        END IF;
    END LOOP;
END $$;

SELECT audit.ensure_partitions(now());
"""

ROLE = """
DO $$ BEGIN
    CREATE ROLE smart_audit_audit LOGIN;
EXCEPTION WHEN duplicate_object THEN
    NULL;
END $$;

REVOKE ALL ON SCHEMA audit FROM PUBLIC;
REVOKE ALL ON FUNCTION audit.ensure_partitions FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO smart_audit_audit;
GRANT EXECUTE ON FUNCTION audit.ensure_partitions TO smart_audit_audit;
GRANT SELECT, INSERT ON
    audit.logs, audit.entries, audit.entry_targets, audit.disclosures, audit.tiles,
    audit.checkpoint_keys
    TO smart_audit_audit;
GRANT UPDATE (size, compact_range) ON audit.logs TO smart_audit_audit;
"""

# A transaction sees the rows of the organisation it names, and none when it names none.
ROW_SECURITY = """
ALTER TABLE audit.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON audit.{table} TO smart_audit_audit USING (
    organisation_id = (SELECT nullif(current_setting('audit.organisation_id', true), '')::uuid)
);
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(HEAD_GUARD)
    op.execute(PARTITIONS)
    op.execute(ROLE)
    for table in ("logs", "entries", "entry_targets", "disclosures", "tiles"):
        op.execute(ROW_SECURITY.format(table=table))
