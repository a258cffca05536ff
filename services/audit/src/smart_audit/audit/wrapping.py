"""The keys of data subjects, wrapped by the installation's key.

Destroying one is what erases a person (see `use_cases/erase_subject.py`).
"""

import os
from collections.abc import Mapping

from smart_audit.audit.domain import KeyId, OrganisationId, Subject, WrappedKey
from smart_audit.audit.sealed import SubjectKey
from smart_audit.audit.terms import TermKey
from smart_audit.core.ids import new_id
from smart_audit.core.sealing import Sealer

KEY_SIZE = 32


class Wrapping:
    """Wraps subjects' keys; a wrapped key opens only for its own subject."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def wrap(self, organisation_id: OrganisationId, subject: Subject) -> tuple[WrappedKey, bytes]:
        """Make a key: as it is stored, and the secret."""
        key_id, secret = KeyId(new_id()), os.urandom(KEY_SIZE)
        purpose = _purpose(organisation_id, key_id, subject)
        return WrappedKey(key_id, subject, self._sealer.seal(secret, purpose)), secret

    def unwrap(self, organisation_id: OrganisationId, key: WrappedKey) -> SubjectKey:
        """Raises: SealBroken."""
        purpose = _purpose(organisation_id, key.id, key.subject)
        return SubjectKey.of(key.id, self._sealer.open(key.wrapped, purpose))

    def authenticate(self, row: bytes) -> bytes:
        """The MAC of a stored row under the installation's key, 32 bytes."""
        return self._sealer.authenticate(row)

    def term_key(self, organisation_id: OrganisationId) -> TermKey:
        """The key of an organisation's terms; the same in each process."""
        return TermKey(self._sealer.derive(f"search terms {organisation_id}"))

    def unwrapped(
        self, organisation_id: OrganisationId, keys: Mapping[KeyId, WrappedKey | None]
    ) -> dict[KeyId, SubjectKey | None]:
        """Several keys by id; None for those that have been destroyed. Raises: SealBroken."""
        return {
            key_id: None if key is None else self.unwrap(organisation_id, key)
            for key_id, key in keys.items()
        }


def _purpose(organisation_id: OrganisationId, key_id: KeyId, subject: Subject) -> str:
    return f"subject key {organisation_id} {key_id} {(subject.type, subject.id)!r}"
