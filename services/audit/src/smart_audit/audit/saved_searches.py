"""Saved searches: what they are, and who may see and change them. No I/O."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType
from uuid import UUID

from smart_audit.audit.domain import Subject

CREATED = "audit.saved_search.created"
UPDATED = "audit.saved_search.updated"
DELETED = "audit.saved_search.deleted"

TARGET = "saved_search"
"""The type of the target by which the log's own events name one."""

MAX_OWN = 200
MAX_SHARED = 1_000

SearchId = NewType("SearchId", UUID)


@dataclass(frozen=True, slots=True)
class Search:
    """A question worth asking again."""

    name: str
    query: str = ""
    filter: str = ""
    order_by: str = ""
    group_by: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A search that somebody has saved."""

    id: SearchId
    search: Search
    owner: Subject | None
    """None once the owner has been erased."""
    created_at: datetime
    updated_at: datetime

    def is_seen_by(self, who: Subject) -> bool:
        """Whether somebody of the organisation may see it."""
        return self.search.shared or self.owner == who

    def is_changed_by(self, who: Subject, *, manages: bool) -> bool:
        """Whether somebody who may see it may change it; manages: whether they manage the log."""
        return self.owner == who or (self.search.shared and manages)
