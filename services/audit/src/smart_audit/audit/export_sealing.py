"""The files of exports at rest: compressed, and sealed chunk by chunk under a key of each export.

Destroying the key destroys the file, in backups that lack it too.
"""

import os
import zlib
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smart_audit.core.sealing import NONCE_BYTES, SealBroken, Sealer

KEY_SIZE = 32
# Events repeat themselves: a tenth is left of them, and a higher level takes more time than that.
COMPRESSION = 1


class ChunkSeal:
    """Seals and opens the chunks of one export."""

    def __init__(self, key: bytes, export: str) -> None:
        self._cipher = AESGCM(key)
        self._export = export

    def seal(self, first_byte: int, chunk: bytes) -> bytes:
        """What is stored: 12 bytes of nonce, then AES-256-GCM of the chunk in zlib's form.

        Source: NIST SP 800-38D, RFC 1950.
        """
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(
            nonce, zlib.compress(chunk, COMPRESSION), self._place(first_byte)
        )

    def open(self, first_byte: int, sealed: bytes) -> bytes:
        """Raises: SealBroken."""
        nonce, content = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return zlib.decompress(self._cipher.decrypt(nonce, content, self._place(first_byte)))
        except InvalidTag as error:
            raise SealBroken(f"a chunk of export {self._export} was changed") from error

    def _place(self, first_byte: int) -> bytes:
        return f"{self._export} {first_byte}".encode()


class ExportSealing:
    """Makes and opens the keys of exports, and seals filters; all by the installation's key."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def new_key(self, organisation_id: UUID, export_id: UUID) -> tuple[bytes, ChunkSeal]:
        """A key as it is stored, and what it seals with."""
        secret, export = os.urandom(KEY_SIZE), _export(organisation_id, export_id)
        return self._sealer.seal(secret, f"key of {export}"), ChunkSeal(secret, export)

    def open_key(self, organisation_id: UUID, export_id: UUID, wrapped: bytes) -> ChunkSeal:
        """Raises: SealBroken."""
        export = _export(organisation_id, export_id)
        return ChunkSeal(self._sealer.open(wrapped, f"key of {export}"), export)

    def seal_filter(self, organisation_id: UUID, export_id: UUID, text: str) -> bytes:
        """A filter as it is stored."""
        purpose = f"filter of {_export(organisation_id, export_id)}"
        return self._sealer.seal(text.encode(), purpose)

    def open_filter(self, organisation_id: UUID, export_id: UUID, sealed: bytes | None) -> str:
        """The filter; empty once it was taken away. Raises: SealBroken."""
        if sealed is None:
            return ""
        purpose = f"filter of {_export(organisation_id, export_id)}"
        return self._sealer.open(sealed, purpose).decode()


def _export(organisation_id: UUID, export_id: UUID) -> str:
    return f"export {organisation_id} {export_id}"
