"""The disclosures of an event, sealed under the keys of the persons whose data they are.

One event has one or more boxes, one for each set of owners, packed one behind the other:

    count (1 byte) ‖ key ids (16 bytes each) ‖ length of names (2) ‖ names, joined by commas
    ‖ length of the rest (4) ‖ nonce (12) ‖ AES-256-GCM of the disclosures, joined by "~"

Numbers are big-endian. The names stay readable, so that an erased field can be named. Organisation,
event, key ids and names are authenticated with the ciphertext: a box opens nowhere else. A box of
several owners opens with all their keys together, so that losing any one closes it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smart_audit.audit.domain import EventId, KeyId, OrganisationId

NONCE_SIZE = 12
ID_SIZE = 16
_NAMES = Struct(">H")
_REST = Struct(">I")


class SealedError(ValueError):
    """Sealed disclosures that were changed; the message says how it shows."""


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """A live key of a data subject; `secret` has 32 bytes."""

    id: KeyId
    secret: bytes
    cipher: AESGCM

    @classmethod
    def of(cls, key_id: KeyId, secret: bytes) -> "SubjectKey":
        """The key with its cipher, which is worth keeping."""
        return cls(key_id, secret, AESGCM(secret))


class Box(NamedTuple):
    """Disclosures that share their owners."""

    key_ids: tuple[KeyId, ...]
    names: tuple[str, ...]
    header: bytes
    content: bytes

    def open(
        self,
        organisation_id: OrganisationId,
        event_id: EventId,
        keys: Mapping[KeyId, SubjectKey | None],
    ) -> list[str] | None:
        """The disclosures as text; None when a key has been destroyed.

        keys: None for those that have been destroyed. Raises: SealedError.
        """
        try:
            owners = [keys[key_id] for key_id in self.key_ids]
        except KeyError as error:
            raise SealedError(f"there never was a key {error}") from error
        live = [key for key in owners if key is not None]
        if len(live) < len(owners):
            return None
        bound = organisation_id.bytes + event_id.bytes + self.header
        try:
            opened = _cipher(live).decrypt(
                self.content[:NONCE_SIZE], self.content[NONCE_SIZE:], bound
            )
            return opened.decode("ascii").split("~")
        except (InvalidTag, ValueError) as error:
            raise SealedError(f"the sealed {', '.join(self.names)} were changed") from error


def new_nonces(count: int) -> Iterator[bytes]:
    """Fresh nonces of 12 bytes each; they are drawn together, as a system call is."""
    drawn = os.urandom(NONCE_SIZE * count)
    return (drawn[i : i + NONCE_SIZE] for i in range(0, len(drawn), NONCE_SIZE))


def seal(
    organisation_id: OrganisationId,
    event_id: EventId,
    keys: Sequence[SubjectKey],
    names: Sequence[str],
    disclosures: Sequence[bytes],
    nonce: bytes,
) -> bytes:
    """Pack one box.

    keys: those of its owners, at least one. nonce: 12 fresh bytes.
    Source: NIST SP 800-38D.
    """
    joined = ",".join(names).encode()
    ids = b"".join([key.id.bytes for key in keys])
    header = bytes((len(keys),)) + ids + _NAMES.pack(len(joined)) + joined
    bound = organisation_id.bytes + event_id.bytes + header
    content = nonce + _cipher(keys).encrypt(nonce, b"~".join(disclosures), bound)
    return header + _REST.pack(len(content)) + content


def unpack(sealed: bytes) -> Iterator[Box]:
    """The boxes of an event, still closed. Raises: SealedError."""
    place = 0
    while place < len(sealed):
        start = place
        ids = place + 1
        names = ids + ID_SIZE * sealed[place]
        place = names + _NAMES.size
        if place > len(sealed):
            raise SealedError("the sealed disclosures are cut off")
        end = place + _NAMES.unpack_from(sealed, names)[0]
        content = end + _REST.size
        if content > len(sealed) or ids == names:
            raise SealedError("the sealed disclosures are cut off")
        place = content + _REST.unpack_from(sealed, end)[0]
        if place > len(sealed):
            raise SealedError("the sealed disclosures are cut off")
        yield Box(
            tuple(
                KeyId(UUID(bytes=sealed[at : at + ID_SIZE])) for at in range(ids, names, ID_SIZE)
            ),
            tuple(sealed[names + _NAMES.size : end].decode("utf-8", "replace").split(",")),
            sealed[start:end],
            sealed[content:place],
        )


def _cipher(keys: Sequence[SubjectKey]) -> AESGCM:
    if len(keys) == 1:
        return keys[0].cipher
    return AESGCM(sha256(b"smart-audit joint key" + b"".join(key.secret for key in keys)).digest())
