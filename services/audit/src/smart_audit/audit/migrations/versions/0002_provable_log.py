"""The log and what stands beside it; the service's role, and what the database denies it."""

from alembic import op

revision = "0002"
down_revision = None

# What stays for ever: 32 bytes of hash for each event, and where it stands.
LOG = """
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

CREATE TABLE audit.logs (
    organisation_id uuid PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0),
    compact_range bytea NOT NULL,
    checkpoints bigint NOT NULL DEFAULT 0 CHECK (checkpoints >= 0)
);

CREATE TABLE audit.entries (
    organisation_id uuid NOT NULL,
    log_index bigint NOT NULL CHECK (log_index >= 0),
    event_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    tree_size bigint NOT NULL CHECK (tree_size > log_index),
    tree_root bytea NOT NULL CHECK (length(tree_root) = 32),
    leaf_hash bytea NOT NULL CHECK (length(leaf_hash) = 32),
    mac bytea NOT NULL CHECK (length(mac) = 16),
    PRIMARY KEY (organisation_id, log_index),
    UNIQUE (organisation_id, event_id)
);
CREATE INDEX entries_leaf_hash_idx ON audit.entries USING hash (leaf_hash);

CREATE TABLE audit.tiles (
    organisation_id uuid NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 63),
    tile_index bigint NOT NULL CHECK (tile_index >= 0),
    hashes bytea NOT NULL CHECK (length(hashes) = 8192),
    root bytea NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (organisation_id, level, tile_index)
);

CREATE TABLE audit.checkpoints (
    organisation_id uuid NOT NULL,
    number bigint NOT NULL CHECK (number >= 0),
    size bigint NOT NULL CHECK (size >= 0),
    root bytea NOT NULL CHECK (length(root) = 32),
    note text NOT NULL,
    signed_at timestamptz NOT NULL,
    cosignatures text[] NOT NULL,
    mac bytea NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (organisation_id, number)
);
CREATE INDEX checkpoints_cosigned_idx ON audit.checkpoints (organisation_id, number)
    WHERE cardinality(cosignatures) > 0;

CREATE TABLE audit.checkpoint_keys (
    number integer PRIMARY KEY CHECK (number >= 0),
    public_key bytea NOT NULL UNIQUE CHECK (length(public_key) = 32),
    sealed_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL
);
"""

# What retention removes: the content of events, and how it is found.
PAYLOADS = """
CREATE TABLE audit.payloads (
    organisation_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    log_index bigint NOT NULL CHECK (log_index >= 0),
    occurred_at timestamptz NOT NULL,
    action text NOT NULL,
    actor_id text NOT NULL,
    outcome smallint NOT NULL,
    permanent boolean NOT NULL,
    leaf bytea NOT NULL CHECK (length(leaf) <= 65535),
    disclosures bytea NOT NULL,
    PRIMARY KEY (organisation_id, recorded_at, log_index)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX payloads_occurred_at_idx ON audit.payloads (organisation_id, occurred_at, log_index);
CREATE INDEX payloads_actor_id_idx
    ON audit.payloads (organisation_id, actor_id, occurred_at, log_index);
CREATE INDEX payloads_action_idx
    ON audit.payloads (organisation_id, action, occurred_at, log_index);

CREATE TABLE audit.entry_targets (
    organisation_id uuid NOT NULL,
    target_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    log_index bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, target_id, occurred_at, log_index, recorded_at)
) PARTITION BY RANGE (recorded_at);
-- By this one retention finds the targets of a span of time; it costs an append next to nothing.
CREATE INDEX entry_targets_recorded_at_idx
    ON audit.entry_targets USING brin (recorded_at) WITH (autosummarize = on);
"""

# Settings and holds follow events of the log, which prove them; a subject's key is what erasure
# destroys.
GOVERNANCE = """
CREATE TABLE audit.subject_keys (
    organisation_id uuid NOT NULL,
    key_id uuid NOT NULL,
    subject_type text NOT NULL,
    subject_id text NOT NULL,
    wrapped_key bytea,
    erased_by uuid,
    PRIMARY KEY (organisation_id, key_id),
    CHECK ((wrapped_key IS NULL) = (erased_by IS NOT NULL))
);
-- A key that was destroyed leaves the file of the table only once it is vacuumed.
ALTER TABLE audit.subject_keys
    SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);
CREATE INDEX subject_keys_subject_idx
    ON audit.subject_keys (organisation_id, subject_type, subject_id);
CREATE UNIQUE INDEX subject_keys_live_idx
    ON audit.subject_keys (organisation_id, subject_type, subject_id)
    WHERE wrapped_key IS NOT NULL;

CREATE TABLE audit.log_settings (
    organisation_id uuid PRIMARY KEY,
    retention_days integer NOT NULL CHECK (retention_days >= 0),
    readers smallint NOT NULL,
    event_id uuid NOT NULL
);

CREATE TABLE audit.holds (
    organisation_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    subject_type text,
    subject_id text,
    target_id text,
    period_from timestamptz,
    period_before timestamptz,
    reason text NOT NULL,
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL,
    released_at timestamptz,
    PRIMARY KEY (organisation_id, hold_id),
    CHECK (num_nonnulls(subject_id, target_id, period_from) = 1),
    CHECK ((subject_type IS NULL) = (subject_id IS NULL)),
    CHECK ((period_before IS NULL) = (period_from IS NULL))
);
"""

# What legal holds cover: the events that they name by a person, by a target or by a span of time. A
# person is held as long as such an event names them, too; the log's own events, which only name
# what they did something to, do not count.
HOLDS = """
CREATE FUNCTION audit.is_held(organisation uuid, subject text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    WITH standing AS (
        SELECT hold.subject_id, coalesce(hold.subject_id, hold.target_id) AS held_id,
            hold.period_from, hold.period_before
        FROM audit.holds AS hold
        WHERE hold.organisation_id = organisation AND hold.released_at IS NULL
    ), events AS NOT MATERIALIZED (
        SELECT payload.recorded_at, payload.occurred_at, payload.log_index, payload.actor_id
        FROM audit.payloads AS payload
        WHERE payload.organisation_id = organisation AND payload.actor_id = subject
            AND NOT payload.permanent
        UNION ALL
        SELECT payload.recorded_at, payload.occurred_at, payload.log_index, payload.actor_id
        FROM audit.entry_targets AS target
        JOIN audit.payloads AS payload
            ON payload.organisation_id = organisation
            AND payload.recorded_at = target.recorded_at
            AND payload.log_index = target.log_index
            AND payload.occurred_at = target.occurred_at
            AND NOT payload.permanent
        WHERE target.organisation_id = organisation AND target.target_id = subject
    )
    SELECT EXISTS (SELECT FROM standing) AND (
        EXISTS (SELECT FROM standing WHERE held_id = subject)
        OR EXISTS (
            SELECT FROM standing JOIN events
                ON events.occurred_at >= standing.period_from
                AND events.occurred_at < standing.period_before
        )
        OR EXISTS (SELECT FROM standing JOIN events ON events.actor_id = standing.subject_id)
        OR EXISTS (
            SELECT FROM standing
            JOIN audit.entry_targets AS target
                ON target.organisation_id = organisation AND target.target_id = standing.held_id
            JOIN events
                ON events.recorded_at = target.recorded_at
                AND events.log_index = target.log_index
                AND events.occurred_at = target.occurred_at
        )
    )
$$;

-- What retention may remove of the content recorded in a span of time.
CREATE FUNCTION audit.expired(
    organisation uuid, recorded_from timestamptz, recorded_before timestamptz
) RETURNS TABLE (recorded_at timestamptz, log_index bigint)
LANGUAGE sql STABLE AS $$
    SELECT payload.recorded_at, payload.log_index
    FROM audit.payloads AS payload
    WHERE payload.organisation_id = organisation
        AND payload.recorded_at >= recorded_from AND payload.recorded_at < recorded_before
        AND NOT payload.permanent
        AND NOT EXISTS (
            SELECT FROM audit.holds AS hold
            WHERE hold.organisation_id = organisation AND hold.released_at IS NULL
                AND hold.subject_id = payload.actor_id
        )
        AND NOT EXISTS (
            SELECT FROM audit.holds AS hold
            WHERE hold.organisation_id = organisation AND hold.released_at IS NULL
                AND payload.occurred_at >= hold.period_from
                AND payload.occurred_at < hold.period_before
        )
        AND NOT EXISTS (
            SELECT FROM audit.entry_targets AS target
            JOIN audit.holds AS hold
                ON hold.organisation_id = organisation AND hold.released_at IS NULL
                AND coalesce(hold.subject_id, hold.target_id) = target.target_id
            WHERE target.organisation_id = organisation
                AND target.recorded_at >= recorded_from AND target.recorded_at < recorded_before
                AND target.recorded_at = payload.recorded_at
                AND target.log_index = payload.log_index
        )
$$;
"""

# The head is the one row of the log that changes, and it may only move forward. A subject's key
# can be destroyed, but neither changed nor brought back, and not while a hold needs it.
GUARDS = """
CREATE FUNCTION audit.refuse_shrinking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size < OLD.size OR NEW.checkpoints < OLD.checkpoints
        OR (NEW.size = OLD.size AND NEW.checkpoints = OLD.checkpoints)
        OR (NEW.size = OLD.size AND NEW.compact_range <> OLD.compact_range)
        OR NEW.organisation_id <> OLD.organisation_id
    THEN
        RAISE EXCEPTION 'a log only grows' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER logs_only_grow BEFORE UPDATE ON audit.logs
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_shrinking();

CREATE FUNCTION audit.guard_subject_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.wrapped_key IS NULL OR NEW.wrapped_key IS NOT NULL THEN
        RAISE EXCEPTION 'a subject''s key can only be destroyed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF audit.is_held(OLD.organisation_id, OLD.subject_id) THEN
        RAISE EXCEPTION 'a legal hold covers the subject'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'subject_held';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER subject_keys_guard BEFORE UPDATE ON audit.subject_keys
    FOR EACH ROW EXECUTE FUNCTION audit.guard_subject_key();

CREATE FUNCTION audit.guard_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.released_at IS NOT NULL OR NEW.released_at IS NULL THEN
        RAISE EXCEPTION 'a hold can only be released, and once'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER holds_guard BEFORE UPDATE ON audit.holds
    FOR EACH ROW EXECUTE FUNCTION audit.guard_hold();
"""

# The service's role makes no tables; this function makes the two months it needs next.
PARTITIONS = """
CREATE FUNCTION audit.ensure_partitions(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, audit SET timezone = 'UTC' AS $$
DECLARE
    first timestamptz;
    parent text;
    name text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['payloads', 'entry_targets'] LOOP
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

SELECT audit.ensure_partitions(now());
"""

# The service's role deletes nothing. This function removes content for it, a span of time at a
# call, and holds it to the log's own settings and holds. It runs while the log's head is locked.
# Targets are found by their BRIN index, which only a bitmap scan can use. A partition that has been
# emptied goes as a whole.
RETENTION = """
CREATE FUNCTION audit.expire_payloads(
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
    )
    SELECT count(*) INTO removed FROM expired;
    RETURN removed;
END $$;

-- Drops what is empty and older than yesterday's month: late batches still go into that one.
CREATE FUNCTION audit.drop_empty_partitions(moment timestamptz) RETURNS integer
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
    FOREACH parent IN ARRAY ARRAY['payloads', 'entry_targets'] LOOP
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

# What an append begins with, in one round trip. The head's row is locked first: two appends that
# read the same head would fork the log, and no later check could choose between the branches. Then
# it is told which of the events the log holds already, and which subject keys have been destroyed.
OPEN_LOG = """
CREATE FUNCTION audit.open_log(
    organisation uuid, event_ids uuid[], key_ids uuid[],
    OUT size bigint, OUT compact_range bytea,
    OUT known_ids uuid[], OUT known_indexes bigint[], OUT destroyed_ids uuid[]
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
END $$;
"""

ROLE = """
DO $$ BEGIN
    CREATE ROLE smart_audit_audit LOGIN;
EXCEPTION WHEN duplicate_object THEN
    NULL;
END $$;

REVOKE ALL ON SCHEMA audit FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO smart_audit_audit;
GRANT EXECUTE ON FUNCTION
    audit.open_log, audit.ensure_partitions, audit.is_held, audit.expired, audit.expire_payloads,
    audit.drop_empty_partitions
    TO smart_audit_audit;
GRANT SELECT, INSERT ON
    audit.logs, audit.entries, audit.tiles, audit.checkpoints, audit.checkpoint_keys,
    audit.payloads, audit.entry_targets, audit.subject_keys, audit.log_settings, audit.holds
    TO smart_audit_audit;
GRANT UPDATE (size, compact_range, checkpoints) ON audit.logs TO smart_audit_audit;
GRANT UPDATE (cosignatures, mac) ON audit.checkpoints TO smart_audit_audit;
GRANT UPDATE (wrapped_key, erased_by) ON audit.subject_keys TO smart_audit_audit;
GRANT UPDATE (retention_days, readers, event_id) ON audit.log_settings TO smart_audit_audit;
GRANT UPDATE (released_at) ON audit.holds TO smart_audit_audit;
"""

# A transaction sees the rows of the organisation it names, and none when it names none.
ROW_SECURITY = """
ALTER TABLE audit.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON audit.{table} TO smart_audit_audit USING (
    organisation_id = (SELECT nullif(current_setting('audit.organisation_id', true), '')::uuid)
);
"""
ROW_SECURED = (
    "logs",
    "entries",
    "tiles",
    "checkpoints",
    "payloads",
    "entry_targets",
    "subject_keys",
    "log_settings",
    "holds",
)

# What runs beside the calls, for all organisations, needs to know which ones there are.
ORGANISATIONS = """
CREATE FUNCTION audit.organisations() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
    SELECT organisation_id FROM audit.logs ORDER BY organisation_id
$$;

CREATE FUNCTION audit.organisations_with_retention() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
    SELECT organisation_id FROM audit.log_settings WHERE retention_days > 0
$$;

CREATE FUNCTION audit.organisations_to_checkpoint() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
    SELECT logs.organisation_id FROM audit.logs
    LEFT JOIN audit.checkpoints AS latest
        ON latest.organisation_id = logs.organisation_id
        AND latest.number = logs.checkpoints - 1
    WHERE logs.size > coalesce(latest.size, 0)
$$;

CREATE FUNCTION audit.organisations_to_cosign(line_start text) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
    SELECT logs.organisation_id FROM audit.logs
    JOIN audit.checkpoints AS latest
        ON latest.organisation_id = logs.organisation_id
        AND latest.number = logs.checkpoints - 1
    WHERE NOT EXISTS (
        SELECT FROM unnest(latest.cosignatures) AS line WHERE starts_with(line, line_start)
    )
$$;

REVOKE ALL ON FUNCTION audit.organisations, audit.organisations_with_retention,
    audit.organisations_to_checkpoint, audit.organisations_to_cosign FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.organisations, audit.organisations_with_retention,
    audit.organisations_to_checkpoint, audit.organisations_to_cosign TO smart_audit_audit;
"""


def upgrade() -> None:
    rooms = (LOG, PAYLOADS, GOVERNANCE, HOLDS, GUARDS, PARTITIONS, RETENTION, OPEN_LOG, ROLE)
    for statements in rooms:
        op.execute(statements)
    for table in ROW_SECURED:
        op.execute(ROW_SECURITY.format(table=table))
    op.execute(ORGANISATIONS)
