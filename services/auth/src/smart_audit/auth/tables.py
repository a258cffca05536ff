"""The tables of schema `auth`. The migrations make them; a test holds the two together."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
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
    Column("password_hash", Text, nullable=False),
    Column("created_at", timestamp, nullable=False),
)

organisations = Table(
    "organisations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", timestamp, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("organisation_id", Uuid, ForeignKey(organisations.c.id), primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id), primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Index("memberships_user_id_created_at_idx", "user_id", "created_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id), nullable=False, index=True),
    Column("organisation_id", Uuid, ForeignKey(organisations.c.id), nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("expires_at", timestamp, nullable=False),
    Column("ended_at", timestamp),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("session_id", Uuid, ForeignKey(sessions.c.id), nullable=False, index=True),
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
