"""Project the log: what search reads follows it entry by entry, and can be made anew."""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from prometheus_client import Histogram

from smart_audit.audit.domain import OrganisationId, Subject
from smart_audit.audit.event_types import changed_actions, names_of
from smart_audit.audit.governance import erased_subject
from smart_audit.audit.meaning.phrases import Phrase, phrase_of
from smart_audit.audit.meaning.rendering import described
from smart_audit.audit.recent import ReadableEvent
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.projection import Progress, ProjectedEvent, ProjectionStore
from smart_audit.audit.repository.unprojected import OpenKeys, unprojected
from smart_audit.audit.terms import TermKey, terms_of

VERSION = 3
"""Of what the projection holds. Whoever changes it raises it, and all is projected anew."""

BATCH = 2_000
AT_A_TIME = 400
"""Events that one statement adds."""
AT_A_STRETCH = 50
"""Events that are projected before calls get their turn: a few milliseconds."""
CLEARED_AT_ONCE = 10_000
KNOWN_PHRASES = 50_000

BATCHES = Histogram(
    "smart_audit_projector_batch_entries",
    "Entries of a log that this process has projected at once.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
)

log = structlog.get_logger()


class Projecting:
    """Projects logs, in one process. It remembers which phrases are kept already."""

    def __init__(
        self, database: Database, on_new_kinds: Callable[[OrganisationId], None] = lambda _: None
    ) -> None:
        """on_new_kinds: is told of a log that has kinds of event which may need a vector."""
        self._database = database
        self._on_new_kinds = on_new_kinds
        self._kept: set[tuple[OrganisationId, int, int]] = set()

    async def project(self, organisation_id: OrganisationId) -> bool:
        """Project the next entries of a log; gives whether it had more.

        One transaction, which holds the projection's own row: several processes take turns. An
        event that cannot be read, since it is damaged, is left out; the verification tells of it.
        """
        async with self._database.projecting(organisation_id) as store:
            progress = await store.lock(VERSION)
            if progress is None:
                return False
            if progress.version != VERSION:
                if not await store.clear(CLEARED_AT_ONCE):
                    await store.advance(Progress(0, VERSION, progress.generation + 1, 0))
                return True
            size = (await store.level()).size
            if progress.size == size:
                return False
            key = self._database.term_key(organisation_id)
            events, end = await self._next(progress.size, size, organisation_id, store)
            revision = progress.kinds + 1
            kept = await self._add(events, progress, organisation_id, store, key)
            for one in events:
                if (subject := erased_subject(one.event)) is not None:
                    await self._forget(subject, one.log_index, organisation_id, store, key)
            if renamed := {action for one in events for action in changed_actions(one.event)}:
                # Described as the registry has it now: a later change is a later event.
                await store.kinds.replace_texts(
                    await _described(await store.kinds.of_actions(renamed), store), revision
                )
            changed = bool(renamed) or not kept <= self._kept
            kinds = revision if changed else progress.kinds
            await store.advance(progress._replace(size=end, kinds=kinds))
        # Only now that it is committed.
        BATCHES.observe(end - progress.size)
        if changed:
            self._on_new_kinds(organisation_id)
        self._remember(kept)
        # What came meanwhile is told of anew.
        return end < size

    async def _next(
        self, first: int, size: int, organisation_id: OrganisationId, store: ProjectionStore
    ) -> tuple[Sequence[ReadableEvent], int]:
        """The next events, and the end of their span in the log."""
        recent = self._database.recent.take(organisation_id, first)
        if recent is not None:
            return recent, recent[-1].log_index + 1
        places = range(first, min(first + BATCH, size))
        keys = self._database.open_keys
        return await self._readable(places, organisation_id, store, keys), places.stop

    async def _add(
        self,
        events: Sequence[ReadableEvent],
        progress: Progress,
        organisation_id: OrganisationId,
        store: ProjectionStore,
        key: TermKey,
    ) -> set[tuple[OrganisationId, int, int]]:
        """Add events and their phrases; gives the phrases, as they are remembered."""
        phrases = {
            (organisation_id, progress.generation, phrase.id): phrase
            for phrase in [phrase_of(one.event) for one in events]
        }
        if new := [phrase for known, phrase in phrases.items() if known not in self._kept]:
            await store.kinds.add(await _described(new, store), progress.kinds + 1)
        adding: asyncio.Task[None] | None = None
        async with asyncio.TaskGroup() as tasks:
            # While the database takes some in, the next ones are made.
            for first in range(0, len(events), AT_A_TIME):
                projected = await _projected(events[first : first + AT_A_TIME], key)
                if adding is not None:
                    await adding
                adding = tasks.create_task(store.add_events(projected))
        return set(phrases)

    def _remember(self, kept: set[tuple[OrganisationId, int, int]]) -> None:
        if len(self._kept) > KNOWN_PHRASES:
            self._kept.clear()
        self._kept |= kept

    async def _forget(
        self,
        subject: Subject,
        before: int,
        organisation_id: OrganisationId,
        store: ProjectionStore,
        key: TermKey,
    ) -> None:
        """Take the terms out of events that an erasure has closed, as far as it has."""
        keys = self._database.new_open_keys()
        first = 0
        while places := await store.concerning(subject, before, first, BATCH):
            events = await self._readable(places, organisation_id, store, keys)
            await store.replace_terms(await _projected(events, key))
            await store.cut_terms(set(places) - {one.log_index for one in events})
            first = places[-1] + 1

    async def _readable(
        self,
        indexes: Sequence[int],
        organisation_id: OrganisationId,
        store: ProjectionStore,
        keys: OpenKeys,
    ) -> Sequence[ReadableEvent]:
        found = await unprojected(indexes, organisation_id, await store.driver(), keys)
        if found.damaged:
            log.error(
                "projection.damaged",
                organisation_id=str(organisation_id),
                entries=len(found.damaged),
                first=min(found.damaged),
            )
        return found.events


async def _described(phrases: Sequence[Phrase], store: ProjectionStore) -> list[Phrase]:
    """Phrases with what the registry of event types says of their actions."""
    types = await store.event_types({phrase.action for phrase in phrases})
    return [
        phrase._replace(text=described(phrase.text, *names_of(types.get(phrase.action))))
        for phrase in phrases
    ]


async def _projected(events: Sequence[ReadableEvent], key: TermKey) -> list[ProjectedEvent]:
    projected = []
    for number, one in enumerate(events, 1):
        terms = terms_of(one.event, one.recorded_by, key)
        projected.append(ProjectedEvent(one, phrase_of(one.event), terms))
        if number % AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    return projected
