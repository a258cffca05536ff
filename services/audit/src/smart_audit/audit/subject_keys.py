"""The keys to seal with: made when a subject first appears, then remembered for a while."""

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from smart_audit.audit.domain import KeyId, OrganisationId, Subject
from smart_audit.audit.repository import Database
from smart_audit.audit.sealed import SubjectKey
from smart_audit.audit.wrapping import Wrapping

REMEMBERED_KEYS = 50_000
REMEMBERED_FOR_S = 300


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

    async def of(
        self, organisation_id: OrganisationId, subjects: Iterable[Subject]
    ) -> Mapping[Subject, SubjectKey]:
        """The live key of each subject; those that have none get one. Raises: SealBroken."""
        oldest = time.monotonic() - REMEMBERED_FOR_S
        keys, missing = {}, []
        for subject in subjects:
            known = self._known.get((organisation_id, subject))
            if known is not None and known[1] > oldest:
                keys[subject] = known[0]
            else:
                missing.append(subject)
        if missing:
            found = await self._find(organisation_id, missing)
            keys.update(found)
            self._remember(organisation_id, found)
        return keys

    def forget(self, key_ids: Iterable[KeyId]) -> None:
        """Drop keys that turned out to be destroyed."""
        gone = set(key_ids)
        for place in [place for place, (key, _) in self._known.items() if key.id in gone]:
            del self._known[place]

    async def _find(
        self, organisation_id: OrganisationId, missing: Sequence[Subject]
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
