"""The tables of schema `audit`. The migrations make them; a test holds the two together."""

from smart_audit.audit.tables.base import metadata
from smart_audit.audit.tables.event_types import (
    event_type_registries,
    event_types,
)
from smart_audit.audit.tables.exports import (
    export_chunks,
    exports,
)
from smart_audit.audit.tables.log import (
    checkpoint_keys,
    checkpoints,
    entries,
    entry_targets,
    holds,
    log_settings,
    logs,
    payloads,
    subject_keys,
    tiles,
)
from smart_audit.audit.tables.saved_searches import (
    saved_searches,
)
from smart_audit.audit.tables.search import (
    actor_counts,
    address_counts,
    found_events,
    kind_counts,
    phrase_vectors,
    phrases,
    projections,
    search_events,
)

__all__ = [
    "actor_counts",
    "address_counts",
    "checkpoint_keys",
    "checkpoints",
    "entries",
    "entry_targets",
    "event_type_registries",
    "event_types",
    "export_chunks",
    "exports",
    "found_events",
    "holds",
    "kind_counts",
    "log_settings",
    "logs",
    "metadata",
    "payloads",
    "phrase_vectors",
    "phrases",
    "projections",
    "saved_searches",
    "search_events",
    "subject_keys",
    "tiles",
]
