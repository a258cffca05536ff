"""Exports and their files."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from smart_audit.audit.tables.base import metadata, timestamp

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
