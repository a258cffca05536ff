"""Cosignatures: what a witness adds to a checkpoint that it found consistent.

A cosignature says: as of this time, this is the largest consistent state of the log that I have
seen. It is one more signature line of the checkpoint's note, of signature type 0x04. The signed
message is the note's text below two lines of its own, so a cosignature is never mistaken for the
log's signature. Pass a `CosignatureVerifier` to `note.open_note` beside the log's key.

ML-DSA-44 cosignatures (type 0x06) are not made or verified; they count as made by unknown keys.

Source: C2SP tlog-cosignature, sections "Format" and "Ed25519 signed message".
"""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.note import (
    NoteError,
    NoteSignature,
    ed25519_verifies,
    key_id,
    read_verifier_key,
    require_key,
    require_name,
    write_verifier_key,
)

COSIGNATURE: Final = b"\x04"
SIGNATURE_SIZE: Final = 72  # bytes: a big-endian timestamp of 8, an Ed25519 signature of 64
MAX_TIMESTAMP: Final = (1 << 63) - 1  # seconds since the epoch

_TIMESTAMP_SIZE: Final = 8  # bytes


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    """A known cosigner. name: as a key's name must be; public_key: 32 bytes, Ed25519.

    Raises: NoteError for a bad name or key.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        require_key(self.name, self.public_key)

    @classmethod
    def parse(cls, verifier_key: str) -> "CosignatureVerifier":
        """Read a verifier key ("vkey") of type 0x04.

        Raises: NoteError for any other type, and for an id that is not the key's.
        """
        return cls(*read_verifier_key(verifier_key, COSIGNATURE))

    @property
    def key_id(self) -> bytes:
        """4 bytes; another than that of the same key as a plain Ed25519 key."""
        return key_id(self.name, COSIGNATURE, self.public_key)

    @property
    def verifier_key(self) -> str:
        """The text that `parse` reads."""
        return write_verifier_key(self.name, COSIGNATURE, self.public_key)

    def verify(self, text: str, signature: bytes) -> int:
        """The time of a cosignature, in seconds since the epoch, once it is verified.

        text: the checkpoint's text; signature: 72 bytes, without the key id.
        A time in the future is the caller's to judge, who has a clock.

        Raises: NoteError.
        """
        at = cosigned_at(signature)
        if not ed25519_verifies(self.public_key, signature[_TIMESTAMP_SIZE:], _message(text, at)):
            raise NoteError(f"the cosignature of {self.name} is not valid")
        return at

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this cosigner made the signature (72 bytes) for the checkpoint's text."""
        try:
            self.verify(text, signature)
        except NoteError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's name and its key, which must sign nothing else and for no other name.

    Raises: NoteError for a bad name.
    """

    name: str
    private_key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        require_name(self.name)

    @property
    def verifier(self) -> CosignatureVerifier:
        """The public half."""
        return CosignatureVerifier(self.name, self.private_key.public_key().public_bytes_raw())

    def cosign(self, checkpoint: Checkpoint, at: int) -> NoteSignature:
        """Cosign a checkpoint, extension lines included.

        at: seconds since the epoch, not 0, which would mean that no time is stated.

        Raises: NoteError for a time that cannot be stated, or a text without UTF-8.
        """
        if not 0 < at <= MAX_TIMESTAMP:
            raise NoteError(f"{at} is not the time of a cosignature")
        text = checkpoint.text()
        try:
            signature = self.private_key.sign(_message(text, at).encode())
        except UnicodeEncodeError as error:
            raise NoteError("a lone surrogate has no UTF-8") from error
        stamped = at.to_bytes(_TIMESTAMP_SIZE, "big") + signature
        return NoteSignature(self.name, self.verifier.key_id, stamped)


def cosigned_at(signature: bytes) -> int:
    """The time that a cosignature states, in seconds since the epoch; it is not verified here.

    signature: 72 bytes, without the key id; such as those which `open_note` has verified.

    Raises: NoteError for another length, and for a time beyond 2**63 - 1.
    """
    if len(signature) != SIGNATURE_SIZE:
        raise NoteError(f"a cosignature has {SIGNATURE_SIZE} bytes, not {len(signature)}")
    at = int.from_bytes(signature[:_TIMESTAMP_SIZE], "big")
    if at > MAX_TIMESTAMP:
        raise NoteError(f"the time {at} of a cosignature is more than {MAX_TIMESTAMP}")
    return at


def _message(text: str, at: int) -> str:
    return f"cosignature/v1\ntime {at}\n{text}"
