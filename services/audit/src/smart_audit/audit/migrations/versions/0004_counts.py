"""Counts that the projection keeps, so that what is asked of all events need not read them all."""

from alembic import op

revision = "0004"
down_revision = "0003"

# How many events of a day (in UTC) are of a kind, by an actor, from an address (0: from none). They
# follow `search_events` by triggers, whoever changes it: the projector, an erasure, retention, a
# rebuild. A row whose count is 0 goes, since an address that was forgotten must not stay here.
# Targets have no such table: most have few events in a day, so that it would be as long as what it
# counts.
COUNTS = """
ALTER TABLE audit.search_events ADD COLUMN target_ids text[] NOT NULL DEFAULT '{}';

CREATE TABLE audit.kind_counts (
    organisation_id uuid NOT NULL,
    day timestamptz NOT NULL,
    phrase_id bigint NOT NULL,
    events bigint NOT NULL CHECK (events >= 0),
    PRIMARY KEY (organisation_id, day, phrase_id)
) WITH (fillfactor = 80);

CREATE TABLE audit.actor_counts (
    organisation_id uuid NOT NULL,
    day timestamptz NOT NULL,
    actor_id text NOT NULL,
    events bigint NOT NULL CHECK (events >= 0),
    PRIMARY KEY (organisation_id, day, actor_id)
) WITH (fillfactor = 80);

CREATE TABLE audit.address_counts (
    organisation_id uuid NOT NULL,
    day timestamptz NOT NULL,
    address bigint NOT NULL,
    events bigint NOT NULL CHECK (events >= 0),
    PRIMARY KEY (organisation_id, day, address)
) WITH (fillfactor = 80);
"""

# Of each table of counts, which counts by `{column}`: the events' own is `{value}`.
FOLLOW = """
CREATE FUNCTION audit.add_{table}() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, audit AS $$
BEGIN
    INSERT INTO audit.{table} AS kept (organisation_id, day, {column}, events)
    SELECT organisation_id, date_trunc('day', occurred_at, 'UTC'), {value}, count(*)
    FROM added GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (organisation_id, day, {column})
        DO UPDATE SET events = kept.events + excluded.events;
    RETURN NULL;
END $$;

CREATE FUNCTION audit.take_from_{table}() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, audit AS $$
BEGIN
    WITH fewer AS (
        SELECT organisation_id, date_trunc('day', occurred_at, 'UTC') AS day,
            {value} AS {column}, count(*) AS events
        FROM removed GROUP BY 1, 2, 3
    ), gone AS (
        DELETE FROM audit.{table} AS kept USING fewer
        WHERE kept.organisation_id = fewer.organisation_id AND kept.day = fewer.day
            AND kept.{column} = fewer.{column} AND kept.events = fewer.events
    )
    UPDATE audit.{table} AS kept SET events = kept.events - fewer.events
    FROM fewer
    WHERE kept.organisation_id = fewer.organisation_id AND kept.day = fewer.day
        AND kept.{column} = fewer.{column} AND kept.events <> fewer.events;
    RETURN NULL;
END $$;

CREATE TRIGGER add_{table} AFTER INSERT ON audit.search_events
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit.add_{table}();
CREATE TRIGGER take_from_{table} AFTER DELETE ON audit.search_events
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION audit.take_from_{table}();
"""
COUNTED = {
    "kind_counts": ("phrase_id", "phrase_id"),
    "actor_counts": ("actor_id", "actor_id"),
    "address_counts": ("address", "coalesce(address, 0)"),
}

# An erasure takes addresses away from events, and nothing else that is counted.
FORGET = """
CREATE TRIGGER add_changed_to_address_counts AFTER UPDATE ON audit.search_events
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit.add_address_counts();
CREATE TRIGGER take_changed_from_address_counts AFTER UPDATE ON audit.search_events
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION audit.take_from_address_counts();
"""

ROLE = """
REVOKE ALL ON FUNCTION audit.add_{table}, audit.take_from_{table} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.add_{table}, audit.take_from_{table} TO smart_audit_audit;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit.{table} TO smart_audit_audit;
ALTER TABLE audit.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON audit.{table} TO smart_audit_audit USING (
    organisation_id = (SELECT nullif(current_setting('audit.organisation_id', true), '')::uuid)
);
"""


def upgrade() -> None:
    op.execute(COUNTS)
    for table, (column, value) in COUNTED.items():
        op.execute(FOLLOW.format(table=table, column=column, value=value))
        op.execute(ROLE.format(table=table))
    op.execute(FORGET)
