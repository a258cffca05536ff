"""What a list shows of an event."""

from typing import Any, Final

from smart_audit.cli.render import Column, plain, time, word


def _targets(value: Any) -> str:
    return ", ".join(f"{one['type']}:{one['id']}".strip(":") for one in value or ())


EVENTS: Final = [
    Column("log_index", "#"),
    Column("occurred_at", "time", shown=time),
    Column("action"),
    Column("actor.id", "actor"),
    Column("outcome", shown=word),
    Column("targets", shown=_targets, spare=True),
    Column("id", spare=True),
]

DETAILS: Final = [
    Column("id"),
    Column("log_index", "log index"),
    Column("action"),
    Column("outcome", shown=word),
    Column("outcome_reason"),
    Column("actor.id", "actor"),
    Column("actor.type", "actor type"),
    Column("actor.name", "actor name"),
    Column("actor.email", "actor email"),
    Column("targets", shown=_targets),
    Column("occurred_at", shown=plain),
    Column("recorded_at", shown=plain),
    Column("recorded_by"),
    Column("source"),
    Column("source_address"),
    Column("user_agent"),
    Column("metadata", shown=lambda value: plain(value) if value else ""),
    Column("erased_fields"),
]
