"""The registry of event types."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from smart_audit.audit.tables.base import metadata, timestamp

# What becomes of events that do not fit the registry (see `registry.py`).
event_type_registries = Table(
    "event_type_registries",
    metadata,
    Column("organisation_id", Uuid, primary_key=True),
    # Grows with each change of the policy or of an event type.
    Column("version", BigInteger, nullable=False),
    Column("unknown_actions", SmallInteger, nullable=False),
    Column("invalid_metadata", SmallInteger, nullable=False),
)

# Every version of every event type; the latest of an action is in force, unless it is `deleted`.
event_types = Table(
    "event_types",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata_schema", JSONB),
    Column("deleted", Boolean, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    PrimaryKeyConstraint("organisation_id", "action", "version"),
)
