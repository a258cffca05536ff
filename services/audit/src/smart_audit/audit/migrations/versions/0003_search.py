"""What search reads: a projection of the log that can be dropped and made again."""

from alembic import op

revision = "0003"
down_revision = "0002"

# How far the log is projected. A phrase is a distinct kind of event; events point to it, and it is
# embedded once, not each of them. Nothing here is personal in plain: terms are keyed hashes of
# words and values (see `terms.py`), the public facts first, so that the others can be cut off.
PROJECTION = """
CREATE TABLE audit.projections (
    organisation_id uuid PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0),
    version integer NOT NULL,
    generation integer NOT NULL
);

CREATE TABLE audit.phrases (
    organisation_id uuid NOT NULL,
    phrase_id bigint NOT NULL,
    action text NOT NULL,
    target_types text[] NOT NULL,
    outcome smallint NOT NULL,
    outcome_reason text NOT NULL,
    source text NOT NULL,
    text text NOT NULL,
    words tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('english', text)) STORED,
    PRIMARY KEY (organisation_id, phrase_id)
);
CREATE INDEX phrases_words_idx ON audit.phrases USING gin (words);

CREATE TABLE audit.phrase_vectors (
    organisation_id uuid NOT NULL,
    model text NOT NULL,
    phrase_id bigint NOT NULL,
    vector public.halfvec NOT NULL,
    PRIMARY KEY (organisation_id, model, phrase_id)
);

CREATE TABLE audit.search_events (
    organisation_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    log_index bigint NOT NULL CHECK (log_index >= 0),
    occurred_at timestamptz NOT NULL,
    phrase_id bigint NOT NULL,
    actor_id text NOT NULL,
    address bigint,
    terms bigint[] NOT NULL,
    public_terms smallint NOT NULL CHECK (public_terms >= 0),
    PRIMARY KEY (organisation_id, recorded_at, log_index)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX search_events_occurred_at_idx
    ON audit.search_events (organisation_id, occurred_at, log_index);
CREATE INDEX search_events_phrase_id_idx
    ON audit.search_events (organisation_id, phrase_id, occurred_at, log_index);
CREATE INDEX search_events_actor_id_idx
    ON audit.search_events (organisation_id, actor_id, occurred_at, log_index);
-- Each search reads all of the list of rows that are not in the index yet: it is kept short (KiB).
CREATE INDEX search_events_terms_idx ON audit.search_events USING gin (terms)
    WITH (gin_pending_list_limit = 512);
"""

# Vectors of one model share an index, which the model's dimensions are part of.
VECTORS = """
CREATE FUNCTION audit.index_vectors(model text, dimensions integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, audit, public AS $$
DECLARE
    name text := 'phrase_vectors_' || left(encode(sha256(model::bytea), 'hex'), 12) || '_idx';
BEGIN
    IF to_regclass('audit.' || name) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext(name));
        EXECUTE format(
            'CREATE INDEX IF NOT EXISTS %I ON audit.phrase_vectors'
            ' USING hnsw ((vector::halfvec(%s)) halfvec_ip_ops) WHERE model = %L',
            name, dimensions, model);
    END IF;
END $$;
"""

# The functions of 0002 that name the partitioned tables, with one table more.
PARTITIONS = """
CREATE OR REPLACE FUNCTION audit.ensure_partitions(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, audit SET timezone = 'UTC' AS $$
DECLARE
    first timestamptz;
    parent text;
    name text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['payloads', 'entry_targets', 'search_events'] LOOP
        FOR month IN 0..1 LOOP
            first := date_trunc('month', moment) + make_interval(months => month);
            name := parent || '_' || to_char(first, 'YYYY_MM');
            IF to_regclass('audit.' || name) IS NULL THEN
                PERFORM pg_advisory_xact_lock(hashtext(name));
                EXECUTE format(
                    'CREATE TABLE IF NOT EXISTS audit.%I PARTITION OF audit.%I'
                    ' FOR VALUES FROM (%L) TO (%L)',
                    name, parent, first, first + interval '1 month');
            END IF;
        END LOOP;
    END LOOP;
END $$;

SELECT audit.ensure_partitions(to_date(right(child.relname, 7), 'YYYY_MM'))
FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'audit.payloads'::regclass;
SELECT audit.ensure_partitions(now());

CREATE OR REPLACE FUNCTION audit.expire_payloads(
    organisation uuid, recorded_from timestamptz, recorded_before timestamptz
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, audit SET timezone = 'UTC'
SET enable_bitmapscan = on AS $$
DECLARE
    days integer;
    removed bigint;
BEGIN
    SELECT retention_days INTO days FROM audit.log_settings WHERE organisation_id = organisation;
    IF coalesce(days, 0) = 0 OR recorded_before > now() - make_interval(days => days) THEN
        RAISE EXCEPTION 'the log keeps this content'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    -- What is being projected now would come in behind the removal.
    PERFORM FROM audit.projections WHERE organisation_id = organisation FOR UPDATE;
    WITH expired AS (
        DELETE FROM audit.payloads AS payload
        USING audit.expired(organisation, recorded_from, recorded_before) AS found
        WHERE payload.organisation_id = organisation
            AND payload.recorded_at = found.recorded_at AND payload.log_index = found.log_index
        RETURNING payload.recorded_at, payload.log_index
    ), expired_targets AS (
        DELETE FROM audit.entry_targets AS target USING expired
        WHERE target.organisation_id = organisation
            AND target.recorded_at >= recorded_from AND target.recorded_at < recorded_before
            AND target.recorded_at = expired.recorded_at
            AND target.log_index = expired.log_index
    ), expired_search AS (
        DELETE FROM audit.search_events AS found USING expired
        WHERE found.organisation_id = organisation
            AND found.recorded_at = expired.recorded_at
            AND found.log_index = expired.log_index
    )
    SELECT count(*) INTO removed FROM expired;
    RETURN removed;
END $$;

CREATE OR REPLACE FUNCTION audit.drop_empty_partitions(moment timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, audit SET timezone = 'UTC'
SET lock_timeout = '500ms' AS $$
DECLARE
    oldest_kept text := to_char(moment - interval '1 day', 'YYYY_MM');
    parent text;
    name text;
    holds_rows boolean;
    parent_locked boolean;
    dropped integer := 0;
BEGIN
    FOREACH parent IN ARRAY ARRAY['payloads', 'entry_targets', 'search_events'] LOOP
        parent_locked := false;
        FOR name IN
            SELECT child.relname FROM pg_inherits
            JOIN pg_class AS child ON child.oid = inhrelid
            WHERE inhparent = to_regclass('audit.' || parent)
                AND right(child.relname, 7) < oldest_kept
            ORDER BY child.relname
        LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM audit.%I)', name) INTO holds_rows;
            CONTINUE WHEN holds_rows;
            -- The projection may still be behind: its partition goes when that of the content does.
            CONTINUE WHEN parent = 'search_events'
                AND to_regclass('audit.payloads_' || right(name, 7)) IS NOT NULL;
            -- The parent before the child, as all others do, and only when there is need: while
            -- this waits, all others wait behind it. Then what was found empty must still be so.
            IF NOT parent_locked THEN
                EXECUTE format('LOCK TABLE ONLY audit.%I IN ACCESS EXCLUSIVE MODE', parent);
                parent_locked := true;
            END IF;
            EXECUTE format('LOCK TABLE audit.%I IN ACCESS EXCLUSIVE MODE', name);
            EXECUTE format('SELECT EXISTS (SELECT FROM audit.%I)', name) INTO holds_rows;
            CONTINUE WHEN holds_rows;
            EXECUTE format('DROP TABLE audit.%I', name);
            dropped := dropped + 1;
        END LOOP;
    END LOOP;
    RETURN dropped;
END $$;
"""

# What is behind, and by the version too: whoever changes what the projection holds makes it anew.
BEHIND = """
CREATE FUNCTION audit.organisations_to_project(current integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
    SELECT logs.organisation_id FROM audit.logs
    LEFT JOIN audit.projections AS done ON done.organisation_id = logs.organisation_id
    WHERE logs.size > coalesce(done.size, 0) OR done.version <> current
$$;
"""

# The projection is made of the log, and proves nothing: the service's role may make it anew.
ROLE = """
REVOKE ALL ON FUNCTION audit.index_vectors, audit.organisations_to_project FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.index_vectors, audit.organisations_to_project
    TO smart_audit_audit;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    audit.projections, audit.phrases, audit.phrase_vectors, audit.search_events
    TO smart_audit_audit;
"""

ROW_SECURITY = """
ALTER TABLE audit.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON audit.{table} TO smart_audit_audit USING (
    organisation_id = (SELECT nullif(current_setting('audit.organisation_id', true), '')::uuid)
);
"""
ROW_SECURED = ("projections", "phrases", "phrase_vectors", "search_events")


def upgrade() -> None:
    for statements in (PROJECTION, VECTORS, PARTITIONS, BEHIND, ROLE):
        op.execute(statements)
    for table in ROW_SECURED:
        op.execute(ROW_SECURITY.format(table=table))
