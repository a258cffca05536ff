"""The log, its checkpoints and keys, and what governs it."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from smart_audit.audit.tables.base import metadata, timestamp

# The head of each log: its size, and the roots of its perfect subtrees.
logs = Table(
    "logs",
    metadata,
    Column("organisation_id", Uuid, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("compact_range", LargeBinary, nullable=False),
    # How many checkpoints have been signed.
    Column("checkpoints", BigInteger, nullable=False),
)

# What stays of an event for ever.
entries = Table(
    "entries",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("recorded_at", timestamp, nullable=False),
    # The tree as it was once the event's batch was in; the first receipt leads to it.
    Column("tree_size", BigInteger, nullable=False),
    Column("tree_root", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    # The tree covers the hash alone, so that the row carries a MAC (see `entry_mac.py`).
    Column("mac", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organisation_id", "log_index"),
    UniqueConstraint("organisation_id", "event_id"),
    Index("entries_leaf_hash_idx", "leaf_hash", postgresql_using="hash"),
)

# The content of events, which retention removes. Partitioned by month of `recorded_at`, as are
# their targets.
payloads = Table(
    "payloads",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("recorded_at", timestamp, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Column("occurred_at", timestamp, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    # What proves the log's own settings outlives retention.
    Column("permanent", Boolean, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    # Sealed: see `sealed.py`.
    Column("disclosures", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organisation_id", "recorded_at", "log_index"),
    Index("payloads_occurred_at_idx", "organisation_id", "occurred_at", "log_index"),
    Index("payloads_actor_id_idx", "organisation_id", "actor_id", "occurred_at", "log_index"),
    Index("payloads_action_idx", "organisation_id", "action", "occurred_at", "log_index"),
)

entry_targets = Table(
    "entry_targets",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("target_id", Text, nullable=False),
    Column("occurred_at", timestamp, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Column("recorded_at", timestamp, nullable=False),
    PrimaryKeyConstraint("organisation_id", "target_id", "occurred_at", "log_index", "recorded_at"),
    Index(
        "entry_targets_recorded_at_idx",
        "recorded_at",
        postgresql_using="brin",
        postgresql_with={"autosummarize": True},
    ),
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

# Every checkpoint that was handed out, numbered without gaps. The tree does not cover these rows,
# so each carries a MAC under the installation's key (see `checkpoints.py`).
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("signed_at", timestamp, nullable=False),
    Column("cosignatures", ARRAY(Text), nullable=False),
    Column("mac", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organisation_id", "number"),
    Index(
        "checkpoints_cosigned_idx",
        "organisation_id",
        "number",
        postgresql_where=text("cardinality(cosignatures) > 0"),
    ),
)

checkpoint_keys = Table(
    "checkpoint_keys",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sealed_private_key", LargeBinary, nullable=False),
    Column("created_at", timestamp, nullable=False),
    UniqueConstraint("public_key"),
)

# A subject has one live key at the most. A destroyed one leaves its row, and the event that tells
# of it.
subject_keys = Table(
    "subject_keys",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("key_id", Uuid, nullable=False),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("wrapped_key", LargeBinary),
    Column("erased_by", Uuid),
    PrimaryKeyConstraint("organisation_id", "key_id"),
    Index("subject_keys_subject_idx", "organisation_id", "subject_type", "subject_id"),
    Index(
        "subject_keys_live_idx",
        "organisation_id",
        "subject_type",
        "subject_id",
        unique=True,
        postgresql_where=text("wrapped_key IS NOT NULL"),
    ),
)

# Settings and holds restate events of the log: `event_id` and `hold_id` name them.
log_settings = Table(
    "log_settings",
    metadata,
    Column("organisation_id", Uuid, primary_key=True),
    Column("retention_days", Integer, nullable=False),
    Column("readers", SmallInteger, nullable=False),
    Column("records_reads", Boolean, nullable=False),
    Column("event_id", Uuid, nullable=False),
)

holds = Table(
    "holds",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("hold_id", Uuid, nullable=False),
    Column("subject_type", Text),
    Column("subject_id", Text),
    Column("target_id", Text),
    Column("period_from", timestamp),
    Column("period_before", timestamp),
    Column("reason", Text, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("placed_at", timestamp, nullable=False),
    Column("released_at", timestamp),
    PrimaryKeyConstraint("organisation_id", "hold_id"),
)
