"""Project the log: what search reads follows it entry by entry, and can be made anew."""

from collections.abc import Sequence

import structlog

from smart_audit.audit.domain import OrganisationId, Recorded, Subject
from smart_audit.audit.errors import LogDamaged
from smart_audit.audit.governance import erased_subject
from smart_audit.audit.meaning.phrases import Phrase, phrase_of
from smart_audit.audit.repository import Database, LogReader
from smart_audit.audit.repository.projection import Progress, ProjectedEvent, ProjectionStore
from smart_audit.audit.terms import TermKey, terms_of

VERSION = 1
"""Of what the projection holds. Whoever changes it raises it, and all is projected anew."""

BATCH = 500
CLEARED_AT_ONCE = 10_000

log = structlog.get_logger()


async def project(organisation_id: OrganisationId, database: Database) -> bool:
    """Project the next entries of a log; gives whether there were any.

    One transaction, which holds the projection's own row: several processes take turns. An event
    that cannot be read, since it is damaged, is left out, and the verification tells of it.
    """
    async with database.projecting(organisation_id) as (store, reader):
        progress = await store.lock(VERSION)
        if progress is None:
            return False
        if progress.version != VERSION:
            if not await store.clear(CLEARED_AT_ONCE):
                await store.advance(Progress(0, VERSION))
            return True
        end = min(progress.size + BATCH, await store.log_size())
        if end == progress.size:
            return False
        recorded = await _readable(range(progress.size, end), organisation_id, reader)
        key = database.term_key(organisation_id)
        await _add(recorded, store, key)
        for one in recorded:
            if (subject := erased_subject(one.event)) is not None:
                await _forget(subject, one.log_index, organisation_id, store, reader, key)
        await store.advance(Progress(end, VERSION))
        return True


async def _add(recorded: Sequence[Recorded], store: ProjectionStore, key: TermKey) -> None:
    projected = [_projected(one, key) for one in recorded]
    if projected:
        phrases: dict[int, Phrase] = {one.phrase.id: one.phrase for one in projected}
        await store.add_phrases(phrases.values())
        await store.add_events(projected)


async def _forget(
    subject: Subject,
    before: int,
    organisation_id: OrganisationId,
    store: ProjectionStore,
    reader: LogReader,
    key: TermKey,
) -> None:
    """Take the terms out of events that an erasure has closed, as far as it has."""
    first = 0
    while places := await store.concerning(subject, before, first, BATCH):
        recorded = await _readable(places, organisation_id, reader)
        await store.replace_terms([_projected(one, key) for one in recorded])
        first = places[-1] + 1


def _projected(recorded: Recorded, key: TermKey) -> ProjectedEvent:
    terms = terms_of(recorded.event, recorded.recorded_by, key)
    return ProjectedEvent(recorded, phrase_of(recorded.event), terms)


async def _readable(
    indexes: Sequence[int], organisation_id: OrganisationId, reader: LogReader
) -> list[Recorded]:
    try:
        return list((await reader.recorded(indexes)).values())
    except LogDamaged:
        if len(indexes) == 1:
            log.error(
                "projection.damaged", organisation_id=str(organisation_id), log_index=indexes[0]
            )
            return []
    # One damaged entry must not keep its neighbours from being found.
    half = len(indexes) // 2
    return [
        *await _readable(indexes[:half], organisation_id, reader),
        *await _readable(indexes[half:], organisation_id, reader),
    ]
