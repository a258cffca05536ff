"""Saved searches."""

from sqlalchemy import Boolean, Column, Index, PrimaryKeyConstraint, Table, Text, Uuid, text

from smart_audit.audit.tables.base import metadata, timestamp

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
