"""The tables of schema `auth`. The migrations make them; a test holds the two together."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(schema="auth")
timestamp = DateTime(timezone=True)

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_canonical", Text, nullable=False, unique=True),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("password_hash", Text),
    Column("created_at", timestamp, nullable=False),
    Column("email_verified_at", timestamp),
    Column("password_changed_at", timestamp),
    Column("password_reset_required", Boolean, nullable=False, server_default="false"),
    Column("deactivated_at", timestamp),
)

organisations = Table(
    "organisations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("sign_in_policy", Text, nullable=False, server_default="second_factor_optional"),
    Column("login_codes", Boolean, nullable=False, server_default="false"),
)

memberships = Table(
    "memberships",
    metadata,
    Column(
        "organisation_id",
        Uuid,
        ForeignKey(organisations.c.id, ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Index("memberships_user_id_created_at_idx", "user_id", "created_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column(
        "organisation_id", Uuid, ForeignKey(organisations.c.id, ondelete="CASCADE"), nullable=False
    ),
    Column("created_at", timestamp, nullable=False),
    Column("expires_at", timestamp, nullable=False),
    Column("ended_at", timestamp),
    Column("authenticated_at", timestamp, nullable=False),
    Column("amr", ARRAY(Text), nullable=False, server_default="{pwd}"),
    Column("last_used_at", timestamp, nullable=False),
    Column("address", Text, nullable=False, server_default=""),
    Column("user_agent", Text, nullable=False, server_default=""),
    Column("impersonator_id", Uuid),
    Column("impersonation_reason", Text, nullable=False, server_default=""),
    Index("sessions_organisation_id_user_id_idx", "organisation_id", "user_id"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column(
        "session_id",
        Uuid,
        ForeignKey(sessions.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("expires_at", timestamp, nullable=False),
    Column("rotated_at", timestamp),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sealed_private_key", LargeBinary, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("activates_at", timestamp, nullable=False),
    Column("retires_at", timestamp),
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("event", JSONB, nullable=False),
    Column("refusal", Text),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column(
        "organisation_id",
        Uuid,
        ForeignKey(organisations.c.id, ondelete="CASCADE"),
        nullable=False,
    ),
    Column("email", Text, nullable=False),
    Column("email_canonical", Text, nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("invited_by", Uuid, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("expires_at", timestamp, nullable=False),
    Column("settled_at", timestamp),
    Column("settlement", Text),
    Index(
        "invitations_open_key",
        "organisation_id",
        "email_canonical",
        unique=True,
        postgresql_where=text("settled_at IS NULL"),
    ),
)

revocations = Table(
    "revocations",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("revoked_at", timestamp, nullable=False),
    Column("expires_at", timestamp, nullable=False, index=True),
)

challenges = Table(
    "challenges",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE")),
    Column("data", JSONB, nullable=False, server_default="{}"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", timestamp, nullable=False),
    Column("expires_at", timestamp, nullable=False, index=True),
    Column("used_at", timestamp),
    Index("challenges_user_id_purpose_idx", "user_id", "purpose"),
)

totp_secrets = Table(
    "totp_secrets",
    metadata,
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("confirmed_at", timestamp),
    Column("last_step", BigInteger, nullable=False, server_default="0"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", timestamp, nullable=False),
    Column("used_at", timestamp),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("credential_id", LargeBinary, primary_key=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", ARRAY(Text), nullable=False, server_default="{}"),
    Column("backed_up", Boolean, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("last_used_at", timestamp),
)

service_accounts = Table(
    "service_accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column(
        "organisation_id",
        Uuid,
        ForeignKey(organisations.c.id, ondelete="CASCADE"),
        nullable=False,
    ),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("disabled_at", timestamp),
    UniqueConstraint("organisation_id", "name", name="service_accounts_name_key"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column(
        "organisation_id",
        Uuid,
        ForeignKey(organisations.c.id, ondelete="CASCADE"),
        nullable=False,
    ),
    Column(
        "service_account_id",
        Uuid,
        ForeignKey(service_accounts.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", timestamp, nullable=False),
    Column("expires_at", timestamp),
    Column("last_used_at", timestamp),
    Column("revoked_at", timestamp),
)

cache = Table(
    "cache",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary),
    Column("count", BigInteger, nullable=False, server_default="0"),
    Column("open_at", timestamp, nullable=False, server_default="-infinity"),
    Column("expires_at", timestamp, nullable=False, index=True),
    prefixes=["UNLOGGED"],
)

mails = Table(
    "mails",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("sealed_message", LargeBinary, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", timestamp, nullable=False, index=True),
)

affiliations = Table(
    "affiliations",
    metadata,
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    Column("organisation_id", Uuid, primary_key=True),
)

erasures = Table(
    "erasures",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("organisation_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("after_position", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", timestamp, nullable=False),
)
