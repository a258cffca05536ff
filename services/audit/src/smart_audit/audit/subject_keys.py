"""The keys to seal with: made when a subject first appears, then remembered for a while."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from smart_audit.audit.domain import KeyId, OrganisationId, Subject
from smart_audit.audit.repository import Database
from smart_audit.audit.sealed import SubjectKey
from smart_audit.audit.wrapping import Wrapping

REMEMBERED_KEYS = 50_000
REMEMBERED_FOR_S = 300


@dataclass(slots=True)
class _Search:
    """Subjects that several calls miss at the same time."""

    missing: set[Subject]
    task: "asyncio.Task[dict[Subject, SubjectKey]]" = field(init=False)


class SubjectKeys:
    """The live keys of data subjects.

    They are remembered for some minutes, for speed. A remembered key may have been destroyed
    meanwhile: the append looks at that under the log's lock, and what was sealed in vain is sealed
    anew.
    """

    def __init__(self, database: Database, wrapping: Wrapping) -> None:
        self._database = database
        self._wrapping = wrapping
        self._known: OrderedDict[tuple[OrganisationId, Subject], tuple[SubjectKey, float]] = (
            OrderedDict()
        )
        self._searches: dict[OrganisationId, _Search] = {}
        self._tasks: set[asyncio.Task[dict[Subject, SubjectKey]]] = set()

    async def of(
        self, organisation_id: OrganisationId, subjects: Iterable[Subject]
    ) -> Mapping[Subject, SubjectKey]:
        """The live key of each subject; those that have none get one. Raises: SealBroken."""
        self._drop_old()
        keys, missing = {}, []
        for subject in subjects:
            known = self._known.get((organisation_id, subject))
            if known is not None:
                keys[subject] = known[0]
            else:
                missing.append(subject)
        if missing:
            search = self._searches.get(organisation_id)
            if search is None:
                search = self._searches[organisation_id] = _Search(set())
                search.task = asyncio.create_task(self._search(organisation_id))
                self._tasks.add(search.task)
                search.task.add_done_callback(self._tasks.discard)
            search.missing.update(missing)
            found = await asyncio.shield(search.task)
            keys.update({subject: found[subject] for subject in missing})
        return keys

    async def settle(self) -> None:
        """Wait for the searches that are under way; whoever asked is told how they ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def forget(self, key_ids: Iterable[KeyId]) -> None:
        """Drop keys that turned out to be destroyed."""
        gone = set(key_ids)
        for place in [place for place, (key, _) in self._known.items() if key.id in gone]:
            del self._known[place]

    def _drop_old(self) -> None:
        """Drop what was remembered too long ago; the oldest comes first."""
        oldest = time.monotonic() - REMEMBERED_FOR_S
        while self._known and next(iter(self._known.values()))[1] <= oldest:
            self._known.popitem(last=False)

    async def _search(self, organisation_id: OrganisationId) -> dict[Subject, SubjectKey]:
        """Look up what all calls of one turn of the loop miss, in one transaction."""
        await asyncio.sleep(0)
        missing = self._searches.pop(organisation_id).missing
        found = await self._find(organisation_id, missing)
        self._remember(organisation_id, found)
        return found

    async def _find(
        self, organisation_id: OrganisationId, missing: Collection[Subject]
    ) -> dict[Subject, SubjectKey]:
        fresh = [self._wrapping.wrap(organisation_id, subject) for subject in missing]
        secrets = {wrapped.id: secret for wrapped, secret in fresh}
        stored = await self._database.live_subject_keys(
            organisation_id, [wrapped for wrapped, _ in fresh]
        )
        return {
            key.subject: SubjectKey.of(key.id, secrets[key.id])
            if key.id in secrets
            else self._wrapping.unwrap(organisation_id, key)
            for key in stored
        }

    def _remember(
        self, organisation_id: OrganisationId, found: Mapping[Subject, SubjectKey]
    ) -> None:
        now = time.monotonic()
        for subject, key in found.items():
            self._known[organisation_id, subject] = (key, now)
            self._known.move_to_end((organisation_id, subject))
        while len(self._known) > REMEMBERED_KEYS:
            self._known.popitem(last=False)
