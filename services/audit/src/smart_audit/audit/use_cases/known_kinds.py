"""The kinds of event of the logs that were searched lately, in this process's memory.

A log of millions of events has some thousand kinds, so that all of them can be compared with a
question, in a few milliseconds. What the log has got since is read when the next question comes.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.meaning.kind_table import KindTable
from smart_audit.audit.meaning.phrases import Phrase, PhraseId
from smart_audit.audit.meaning.ranking import Ranker
from smart_audit.audit.meaning.wording import stem, words
from smart_audit.audit.repository.database import Searching
from smart_audit.audit.repository.level import Level

MOST_OF_A_LOG: Final = 20_000
"""Kinds of one log up to which all are kept in memory; of more, the database finds candidates."""
MOST: Final = 40_000
"""Kinds that are kept in memory for all logs together; one takes about 3 KiB."""


@dataclass(frozen=True, slots=True)
class KnownKinds:
    """All kinds of event of one log, as of one revision of its projection."""

    level: Level
    by_id: Mapping[PhraseId, Phrase]
    table: KindTable
    stems: frozenset[str]
    """Of all their words."""

    def is_of(self, level: Level) -> bool:
        """Whether the log has no other kinds now."""
        return (self.level.generation, self.level.kinds) == (level.generation, level.kinds)

    def unknown(self, asked: Collection[str]) -> set[str]:
        """Of several words, those that no kind of event has."""
        return {word for word in asked if stem(word) not in self.stems}


class KindsInMemory:
    """Keeps the kinds of event of the logs that were searched last."""

    def __init__(self, ranker: Ranker) -> None:
        self._ranker = ranker
        self._known: OrderedDict[OrganisationId, KnownKinds] = OrderedDict()
        self._too_many: dict[OrganisationId, int] = {}

    async def of(self, searching: Searching) -> KnownKinds | None:
        """The kinds of a log as they are now; None of one that has too many."""
        level, id_ = searching.level, searching.organisation_id
        if self._too_many.get(id_) == level.generation:
            return None
        known = self._known.get(id_)
        if known is None or not known.is_of(level):
            known = await self._read(known, searching)
            if known is None:
                self._too_many[id_] = level.generation
                self._known.pop(id_, None)
                return None
            self._known[id_] = known
        self._known.move_to_end(id_)
        while len(self._known) > 1 and sum(len(one.by_id) for one in self._known.values()) > MOST:
            self._known.popitem(last=False)
        return known

    def last(self, searching: Searching) -> KnownKinds | None:
        """The kinds of a log, if they are in memory as they are now."""
        known = self._known.get(searching.organisation_id)
        return known if known is not None and known.is_of(searching.level) else None

    async def _read(self, known: KnownKinds | None, searching: Searching) -> KnownKinds | None:
        """What is known, with what has changed since; None if that makes too many."""
        level = searching.level
        goes_on = known is not None and known.level.generation == level.generation
        before, revision = (known.by_id, known.level.kinds) if known and goes_on else ({}, -1)
        changed = await searching.phrases.changed(revision, MOST_OF_A_LOG + 1)
        by_id = {**before, **{kind.id: kind for kind in changed}}
        if len(by_id) > MOST_OF_A_LOG:
            return None
        stems = known.stems if known and goes_on else frozenset()
        new = {stem(word) for kind in changed for word in words(kind.text)}
        table = await self._ranker.table(list(by_id.values()))
        return KnownKinds(level, by_id, table, stems | new)
