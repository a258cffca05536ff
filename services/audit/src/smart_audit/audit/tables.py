"""The tables of schema `audit`. The migrations make them; a test holds the two together."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData(schema="audit")
timestamp = DateTime(timezone=True)

# The head of each log: its size, and the roots of its perfect subtrees.
logs = Table(
    "logs",
    metadata,
    Column("organisation_id", Uuid, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("compact_range", LargeBinary, nullable=False),
)

entries = Table(
    "entries",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("occurred_at", timestamp, nullable=False),
    Column("recorded_at", timestamp, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("tree_size", BigInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organisation_id", "log_index"),
    UniqueConstraint("organisation_id", "event_id"),
    Index("entries_occurred_at_idx", "organisation_id", "occurred_at", "log_index"),
    Index("entries_actor_id_idx", "organisation_id", "actor_id", "occurred_at", "log_index"),
    Index("entries_action_idx", "organisation_id", "action", "occurred_at", "log_index"),
)

entry_targets = Table(
    "entry_targets",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("target_id", Text, nullable=False),
    Column("occurred_at", timestamp, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    PrimaryKeyConstraint("organisation_id", "target_id", "occurred_at", "log_index"),
)

# Partitioned by month of `recorded_at`: the bulk of the data, and what retention drops whole.
disclosures = Table(
    "disclosures",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("recorded_at", timestamp, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Column("disclosures", ARRAY(Text), nullable=False),
    PrimaryKeyConstraint("organisation_id", "recorded_at", "log_index"),
)

# Full tiles only (C2SP tlog-tiles): 256 hashes, and the root over them.
tiles = Table(
    "tiles",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("tile_index", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organisation_id", "level", "tile_index"),
)

checkpoint_keys = Table(
    "checkpoint_keys",
    metadata,
    Column("public_key", LargeBinary, primary_key=True),
    Column("sealed_private_key", LargeBinary, nullable=False),
    Column("created_at", timestamp, nullable=False),
)
