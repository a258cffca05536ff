"""Sealing of small secrets at rest: AES-256-GCM under the installation's key-encryption key."""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


class SealBroken(Exception):
    """The sealed bytes were changed, or sealed under another key or for another purpose."""


class Sealer:
    """Seals and opens bytes. `purpose` is bound to them, so that one cannot pass as another."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        # One key, one use: what authenticates rows is derived from the key that seals.
        derived = HKDF(SHA256(), length=32, salt=None, info=b"smart-audit row authentication")
        self._mac_key = derived.derive(key)
        derived = HKDF(SHA256(), length=32, salt=None, info=b"smart-audit derived keys")
        self._deriving_key = derived.derive(key)

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """Seal `secret`: 12 bytes of nonce, then the ciphertext with its 16-byte tag.

        Source: NIST SP 800-38D.
        """
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Open what `seal` made. Raises: SealBroken."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ciphertext, purpose.encode())
        except InvalidTag as error:
            raise SealBroken(
                f"cannot open the sealed {purpose}: it was sealed under another "
                "key-encryption key, or changed"
            ) from error

    def authenticate(self, row: bytes) -> bytes:
        """The MAC of a row that is not secret, 32 bytes. Source: RFC 2104, RFC 5869."""
        return hmac.digest(self._mac_key, row, "sha256")

    def derive(self, purpose: str) -> bytes:
        """A key for one purpose, 32 bytes, always the same. Source: RFC 5869, section 2.3."""
        return hmac.digest(self._deriving_key, purpose.encode(), "sha256")
