"""The tables of schema `audit`. The migrations make them; a test holds the two together."""

from typing import Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

metadata = MetaData(schema="audit")
timestamp = DateTime(timezone=True)

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

# Exports that are written beside the calls. The filter and the file are sealed; destroying the key
# destroys the file (see `export_sealing.py`).
exports = Table(
    "exports",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("export_id", Uuid, nullable=False),
    Column("format", Text, nullable=False),
    Column("sealed_filter", LargeBinary),
    Column("proofs", Boolean, nullable=False),
    Column("log_size", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("state", SmallInteger, nullable=False),
    # Whoever writes it, and until when nobody else may.
    Column("lease", Uuid),
    Column("leased_until", timestamp),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # The place of the next event: in the order of the log, or of time.
    Column("mark_index", BigInteger, nullable=False, server_default="0"),
    Column("mark_occurred_at", timestamp),
    Column("mark_log_index", BigInteger),
    Column("events", BigInteger, nullable=False, server_default="0"),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Column("wrapped_key", LargeBinary),
    Column("sha256", LargeBinary),
    Column("failure", Text),
    Column("message", Text),
    Column("finished_at", timestamp),
    Column("expires_at", timestamp),
    PrimaryKeyConstraint("organisation_id", "export_id"),
    Index("exports_created_at_idx", "organisation_id", "created_at", "export_id"),
    Index("exports_unfinished_idx", "created_at", postgresql_where=text("state IN (1, 2)")),
)

export_chunks = Table(
    "export_chunks",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("export_id", Uuid, nullable=False),
    Column("first_byte", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organisation_id", "export_id", "first_byte"),
    ForeignKeyConstraint(
        ["organisation_id", "export_id"],
        ["audit.exports.organisation_id", "audit.exports.export_id"],
        ondelete="CASCADE",
    ),
)

# How far each log is projected (see `use_cases/project.py`), by which version of the code.
projections = Table(
    "projections",
    metadata,
    Column("organisation_id", Uuid, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    # How often it was made anew.
    Column("generation", Integer, nullable=False),
)

# The distinct kinds of event. The id is a hash of all but the text, the same in each projection.
phrases = Table(
    "phrases",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("phrase_id", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("target_types", ARRAY(Text), nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("outcome_reason", Text, nullable=False),
    Column("source", Text, nullable=False),
    # What is embedded.
    Column("text", Text, nullable=False),
    Column(
        "words",
        TSVECTOR,
        Computed("to_tsvector('english'::regconfig, text)", persisted=True),
        nullable=False,
    ),
    PrimaryKeyConstraint("organisation_id", "phrase_id"),
    Index("phrases_words_idx", "words", postgresql_using="gin"),
)

# `audit.index_vectors` makes an HNSW index for each model.
phrase_vectors = Table(
    "phrase_vectors",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("model", Text, nullable=False),
    Column("phrase_id", BigInteger, nullable=False),
    Column("vector", HALFVEC, nullable=False),
    PrimaryKeyConstraint("organisation_id", "model", "phrase_id"),
)

# What search finds events by; partitioned by month of `recorded_at`, as their content is.
search_events = Table(
    "search_events",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("recorded_at", timestamp, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Column("occurred_at", timestamp, nullable=False),
    Column("phrase_id", BigInteger, nullable=False),
    Column("actor_id", Text, nullable=False),
    # The term of the source address.
    Column("address", BigInteger),
    # Keyed hashes (see `terms.py`); those of public facts come first, and are so many.
    Column("terms", ARRAY(BigInteger), nullable=False),
    Column("public_terms", SmallInteger, nullable=False),
    Column("target_ids", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("organisation_id", "recorded_at", "log_index"),
    Index("search_events_occurred_at_idx", "organisation_id", "occurred_at", "log_index"),
    Index(
        "search_events_phrase_id_idx", "organisation_id", "phrase_id", "occurred_at", "log_index"
    ),
    Index("search_events_actor_id_idx", "organisation_id", "actor_id", "occurred_at", "log_index"),
    Index(
        "search_events_terms_idx",
        "terms",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 512},
    ),
)

# `search_events` as readers see it: a view of what is the transaction's organisation's. Row
# security would say the same, and keep the planner from the index on terms: behind it only
# operators that Postgres knows to be leakproof may use an index, and those of arrays are not.
found_events = search_events.to_metadata(MetaData(schema="audit"), name="found_events")

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

# Private ones go with their owner's erasure; shared ones stay, without an owner.
saved_searches = Table(
    "saved_searches",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("search_id", Uuid, nullable=False),
    Column("owner_type", Text),
    Column("owner_id", Text),
    Column("shared", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("filter", Text, nullable=False),
    Column("order_by", Text, nullable=False),
    Column("group_by", Text, nullable=False),
    Column("created_at", timestamp, nullable=False),
    Column("updated_at", timestamp, nullable=False),
    PrimaryKeyConstraint("organisation_id", "search_id"),
    Index(
        "saved_searches_shared_name_key",
        "organisation_id",
        text("lower(name)"),
        unique=True,
        postgresql_where=text("shared"),
    ),
    Index(
        "saved_searches_own_name_key",
        "organisation_id",
        "owner_type",
        "owner_id",
        text("lower(name)"),
        unique=True,
    ),
)


def _counts(name: str, counted: Column[Any]) -> Table:
    """How many projected events of a day (in UTC) have a value; see migration 0004."""
    return Table(
        name,
        metadata,
        Column("organisation_id", Uuid, nullable=False),
        Column("day", timestamp, nullable=False),
        counted,
        Column("events", BigInteger, nullable=False),
        PrimaryKeyConstraint("organisation_id", "day", counted.name),
    )


kind_counts = _counts("kind_counts", Column("phrase_id", BigInteger, nullable=False))
actor_counts = _counts("actor_counts", Column("actor_id", Text, nullable=False))
# The term of the source address; 0 where there is none.
address_counts = _counts("address_counts", Column("address", BigInteger, nullable=False))
