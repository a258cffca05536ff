"""Users, organisations, sessions, keys and the outbox; the service's role and what it may do."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE auth.users (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    email_canonical text NOT NULL CONSTRAINT users_email_canonical_key UNIQUE,
    first_name text NOT NULL,
    last_name text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE auth.organisations (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE auth.memberships (
    organisation_id uuid NOT NULL REFERENCES auth.organisations,
    user_id uuid NOT NULL REFERENCES auth.users,
    role text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, user_id)
);
CREATE INDEX memberships_user_id_created_at_idx ON auth.memberships (user_id, created_at);

CREATE TABLE auth.sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users,
    organisation_id uuid NOT NULL REFERENCES auth.organisations,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX ix_auth_sessions_user_id ON auth.sessions (user_id);

CREATE TABLE auth.refresh_tokens (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES auth.sessions,
    expires_at timestamptz NOT NULL,
    rotated_at timestamptz
);
CREATE INDEX ix_auth_refresh_tokens_session_id ON auth.refresh_tokens (session_id);

CREATE TABLE auth.signing_keys (
    id text PRIMARY KEY,
    public_key bytea NOT NULL,
    sealed_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    activates_at timestamptz NOT NULL,
    retires_at timestamptz
);

CREATE TABLE auth.outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event jsonb NOT NULL,
    refusal text
);
"""

ROLE = """
DO $$ BEGIN
    CREATE ROLE smart_audit_auth LOGIN;
EXCEPTION WHEN duplicate_object THEN
    NULL;
END $$;

REVOKE ALL ON SCHEMA auth FROM PUBLIC;
GRANT USAGE ON SCHEMA auth TO smart_audit_auth;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA auth TO smart_audit_auth;
GRANT UPDATE (password_hash) ON auth.users TO smart_audit_auth;
GRANT UPDATE (ended_at) ON auth.sessions TO smart_audit_auth;
GRANT UPDATE (rotated_at) ON auth.refresh_tokens TO smart_audit_auth;
GRANT UPDATE (refusal), DELETE ON auth.outbox TO smart_audit_auth;
REVOKE ALL ON auth.alembic_version FROM smart_audit_auth;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(ROLE)
