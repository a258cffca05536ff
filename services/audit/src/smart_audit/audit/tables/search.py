"""What search reads: a projection of the log, and what is counted of it."""

from typing import Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR

from smart_audit.audit.tables.base import metadata, timestamp

# How far each log is projected (see `use_cases/project.py`), by which version of the code.
projections = Table(
    "projections",
    metadata,
    Column("organisation_id", Uuid, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    # How often it was made anew.
    Column("generation", Integer, nullable=False),
    # How often its kinds of event have changed in this generation.
    Column("kinds", BigInteger, nullable=False, server_default=text("0")),
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
    # `projections.kinds` when it was added or got another text.
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
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
