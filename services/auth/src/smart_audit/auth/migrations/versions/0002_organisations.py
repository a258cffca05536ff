"""Roles, invitations, second factors, machine identities, revocations, throttles and mail.

What belongs to one organisation is guarded by row-level security: a transaction sees the rows of
the organisation and of the user that it names (`auth.organisation_id`, `auth.user_id`), or all of
them if it says so (`auth.everywhere`), and none if it says nothing.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

PEOPLE = """
ALTER TABLE auth.users
    ALTER COLUMN password_hash DROP NOT NULL,
    ADD email_verified_at timestamptz,
    ADD password_changed_at timestamptz,
    ADD password_reset_required boolean NOT NULL DEFAULT false,
    ADD deactivated_at timestamptz;

ALTER TABLE auth.organisations
    ADD sign_in_policy text NOT NULL DEFAULT 'second_factor_optional'
        CHECK (sign_in_policy IN
            ('second_factor_optional', 'second_factor_required', 'password_only')),
    ADD login_codes boolean NOT NULL DEFAULT false;

-- What concerns no organisation goes to the installation's own log; its members administer it.
INSERT INTO auth.organisations (id, name, created_at)
VALUES ('00000000-0000-7000-8000-000000000000', 'This installation', now());

ALTER TABLE auth.memberships ADD CONSTRAINT memberships_role_check
    CHECK (role IN ('owner', 'admin', 'auditor', 'member'));

CREATE TABLE auth.invitations (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES auth.organisations ON DELETE CASCADE,
    email text NOT NULL,
    email_canonical text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'auditor', 'member')),
    token_hash bytea NOT NULL CONSTRAINT invitations_token_hash_key UNIQUE,
    invited_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    settled_at timestamptz,
    settlement text CHECK (settlement IN ('accepted', 'declined', 'withdrawn', 'expired'))
);
CREATE UNIQUE INDEX invitations_open_key ON auth.invitations (organisation_id, email_canonical)
    WHERE settled_at IS NULL;
CREATE INDEX ix_auth_invitations_email_canonical ON auth.invitations (email_canonical);
"""

SESSIONS = """
ALTER TABLE auth.sessions
    ADD authenticated_at timestamptz,
    ADD amr text[] NOT NULL DEFAULT '{pwd}',
    ADD last_used_at timestamptz,
    ADD address text NOT NULL DEFAULT '',
    ADD user_agent text NOT NULL DEFAULT '',
    ADD impersonator_id uuid,
    ADD impersonation_reason text NOT NULL DEFAULT '';
UPDATE auth.sessions SET authenticated_at = created_at, last_used_at = created_at;
ALTER TABLE auth.sessions
    ALTER COLUMN authenticated_at SET NOT NULL,
    ALTER COLUMN last_used_at SET NOT NULL;
CREATE INDEX sessions_organisation_id_user_id_idx ON auth.sessions (organisation_id, user_id);

CREATE TABLE auth.revocations (
    key bytea PRIMARY KEY,
    revoked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX ix_auth_revocations_expires_at ON auth.revocations (expires_at);
"""

FACTORS = """
CREATE TABLE auth.challenges (
    token_hash bytea PRIMARY KEY,
    purpose text NOT NULL,
    user_id uuid REFERENCES auth.users ON DELETE CASCADE,
    data jsonb NOT NULL DEFAULT '{}',
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX challenges_user_id_purpose_idx ON auth.challenges (user_id, purpose);
CREATE INDEX ix_auth_challenges_expires_at ON auth.challenges (expires_at);

CREATE TABLE auth.totp_secrets (
    user_id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
    sealed_secret bytea NOT NULL,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT 0
);

CREATE TABLE auth.recovery_codes (
    code_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX ix_auth_recovery_codes_user_id ON auth.recovery_codes (user_id);

CREATE TABLE auth.passkeys (
    credential_id bytea PRIMARY KEY,
    id uuid NOT NULL CONSTRAINT passkeys_id_key UNIQUE,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    name text NOT NULL,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    transports text[] NOT NULL DEFAULT '{}',
    backed_up boolean NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX ix_auth_passkeys_user_id ON auth.passkeys (user_id);
"""

MACHINES = """
CREATE TABLE auth.service_accounts (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES auth.organisations ON DELETE CASCADE,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    CONSTRAINT service_accounts_name_key UNIQUE (organisation_id, name)
);

CREATE TABLE auth.api_keys (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES auth.organisations ON DELETE CASCADE,
    service_account_id uuid NOT NULL REFERENCES auth.service_accounts ON DELETE CASCADE,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL CONSTRAINT api_keys_key_hash_key UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX ix_auth_api_keys_service_account_id ON auth.api_keys (service_account_id);
"""

PLUMBING = """
CREATE UNLOGGED TABLE auth.cache (
    key text PRIMARY KEY,
    value bytea,
    count bigint NOT NULL DEFAULT 0,
    open_at timestamptz NOT NULL DEFAULT '-infinity',
    expires_at timestamptz NOT NULL
);
CREATE INDEX ix_auth_cache_expires_at ON auth.cache (expires_at);

CREATE TABLE auth.mails (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sealed_message bytea NOT NULL,
    created_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL
);
CREATE INDEX ix_auth_mails_next_attempt_at ON auth.mails (next_attempt_at);
"""

ERASURE = """
-- Whose log may hold something of a person: all organisations that the person was ever in.
CREATE TABLE auth.affiliations (
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    organisation_id uuid NOT NULL,
    PRIMARY KEY (user_id, organisation_id)
);
INSERT INTO auth.affiliations (user_id, organisation_id)
SELECT user_id, organisation_id FROM auth.memberships;

CREATE FUNCTION auth.remember_affiliation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO auth.affiliations (user_id, organisation_id)
    VALUES (NEW.user_id, NEW.organisation_id) ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER remember_affiliation AFTER INSERT ON auth.memberships
    FOR EACH ROW EXECUTE FUNCTION auth.remember_affiliation();

CREATE TABLE auth.erasures (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    after_position bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL
);
"""

CASCADES = """
ALTER TABLE auth.memberships
    DROP CONSTRAINT memberships_organisation_id_fkey,
    DROP CONSTRAINT memberships_user_id_fkey,
    ADD CONSTRAINT memberships_organisation_id_fkey
        FOREIGN KEY (organisation_id) REFERENCES auth.organisations ON DELETE CASCADE,
    ADD CONSTRAINT memberships_user_id_fkey
        FOREIGN KEY (user_id) REFERENCES auth.users ON DELETE CASCADE;
ALTER TABLE auth.sessions
    DROP CONSTRAINT sessions_organisation_id_fkey,
    DROP CONSTRAINT sessions_user_id_fkey,
    ADD CONSTRAINT sessions_organisation_id_fkey
        FOREIGN KEY (organisation_id) REFERENCES auth.organisations ON DELETE CASCADE,
    ADD CONSTRAINT sessions_user_id_fkey
        FOREIGN KEY (user_id) REFERENCES auth.users ON DELETE CASCADE;
ALTER TABLE auth.refresh_tokens
    DROP CONSTRAINT refresh_tokens_session_id_fkey,
    ADD CONSTRAINT refresh_tokens_session_id_fkey
        FOREIGN KEY (session_id) REFERENCES auth.sessions ON DELETE CASCADE;
"""

GRANTS = """
GRANT SELECT, INSERT ON auth.invitations, auth.revocations, auth.challenges, auth.totp_secrets,
    auth.recovery_codes, auth.passkeys, auth.service_accounts, auth.api_keys, auth.cache, auth.mails
    TO smart_audit_auth;
GRANT DELETE ON auth.users, auth.organisations, auth.memberships, auth.sessions,
    auth.refresh_tokens, auth.invitations, auth.revocations, auth.challenges, auth.totp_secrets,
    auth.recovery_codes, auth.passkeys, auth.cache, auth.mails, auth.signing_keys
    TO smart_audit_auth;
GRANT UPDATE (email, email_canonical, first_name, last_name, password_hash, email_verified_at,
    password_changed_at, password_reset_required, deactivated_at) ON auth.users TO smart_audit_auth;
GRANT UPDATE (name, sign_in_policy, login_codes) ON auth.organisations TO smart_audit_auth;
GRANT UPDATE (role) ON auth.memberships TO smart_audit_auth;
GRANT UPDATE (token_hash, expires_at, role, settled_at, settlement) ON auth.invitations
    TO smart_audit_auth;
GRANT UPDATE (organisation_id, authenticated_at, amr, last_used_at, address, user_agent, ended_at)
    ON auth.sessions TO smart_audit_auth;
GRANT UPDATE (revoked_at, expires_at) ON auth.revocations TO smart_audit_auth;
GRANT UPDATE (attempts, used_at, data) ON auth.challenges TO smart_audit_auth;
GRANT UPDATE (sealed_secret, created_at, confirmed_at, last_step) ON auth.totp_secrets
    TO smart_audit_auth;
GRANT UPDATE (used_at) ON auth.recovery_codes TO smart_audit_auth;
GRANT UPDATE (name, sign_count, backed_up, last_used_at) ON auth.passkeys TO smart_audit_auth;
GRANT UPDATE (name, scopes, disabled_at) ON auth.service_accounts TO smart_audit_auth;
GRANT UPDATE (name, expires_at, last_used_at, revoked_at) ON auth.api_keys TO smart_audit_auth;
GRANT UPDATE (value, count, open_at, expires_at) ON auth.cache TO smart_audit_auth;
GRANT UPDATE (attempts, next_attempt_at) ON auth.mails TO smart_audit_auth;
GRANT SELECT, INSERT ON auth.affiliations TO smart_audit_auth;
GRANT SELECT, INSERT, DELETE, UPDATE (attempts, next_attempt_at) ON auth.erasures
    TO smart_audit_auth;
GRANT UPDATE (activates_at, retires_at) ON auth.signing_keys TO smart_audit_auth;
"""

EVERYWHERE = "(SELECT current_setting('auth.everywhere', true) = 'on')"
ORGANISATION = "(SELECT nullif(current_setting('auth.organisation_id', true), '')::uuid)"
USER = "(SELECT nullif(current_setting('auth.user_id', true), '')::uuid)"

# Which rows a transaction may see, beside one that sees everything.
VISIBLE = {
    "organisations": f"id = {ORGANISATION} OR EXISTS (SELECT FROM auth.memberships m"
    f" WHERE m.organisation_id = organisations.id AND m.user_id = {USER})",
    "memberships": f"organisation_id = {ORGANISATION} OR user_id = {USER}",
    "sessions": f"organisation_id = {ORGANISATION} OR user_id = {USER}",
    "invitations": f"organisation_id = {ORGANISATION}",
    "service_accounts": f"organisation_id = {ORGANISATION}",
    "api_keys": f"organisation_id = {ORGANISATION}",
    "totp_secrets": f"user_id = {USER}",
    "recovery_codes": f"user_id = {USER}",
    "passkeys": f"user_id = {USER}",
    "affiliations": f"user_id = {USER}",
    "erasures": f"user_id = {USER}",
}


def upgrade() -> None:
    for statements in (PEOPLE, SESSIONS, FACTORS, MACHINES, PLUMBING, ERASURE, CASCADES, GRANTS):
        op.execute(statements)
    for table, condition in VISIBLE.items():
        op.execute(f"ALTER TABLE auth.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY visible ON auth.{table} TO smart_audit_auth"
            f" USING ({EVERYWHERE} OR {condition})"
        )
    # A new organisation is nobody else's.
    op.execute(
        "CREATE POLICY founded ON auth.organisations FOR INSERT TO smart_audit_auth"
        " WITH CHECK (true)"
    )
