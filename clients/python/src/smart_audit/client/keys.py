"""Whose signatures a person trusts: keys of a log, and of witnesses who watch it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.cosignature import CosignatureVerifier, cosigned_at
from smart_audit.tlog.note import Note, NoteError, Verifier, open_note, parse, write_verifier_key

_ED25519: Final = b"\x01"
_END_OF_TIME: Final = 253402300800  # seconds; the year 10000


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness saw the checkpoint.

    verifier_key: the witness's. at: seconds since 1970, as the witness's clock had it.
    """

    witness: str
    verifier_key: str
    at: int

    @property
    def at_text(self) -> str:
        """As in 2026-02-03T04:05:06Z; beyond the year 9999 the number alone."""
        if self.at >= _END_OF_TIME:
            return str(self.at)
        return f"{datetime.fromtimestamp(self.at, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that are known: those of a log, and those of witnesses."""

    log: tuple[Verifier, ...]
    witnesses: tuple[CosignatureVerifier, ...] = ()

    @classmethod
    def parse(cls, verifier_keys: Iterable[str]) -> Self:
        """Read verifier keys ("vkeys"), of a log (type 0x01) or of a witness (0x04).

        Raises: NoteError for what is no such key, and when none is a log's.
        """
        log: list[Verifier] = []
        witnesses: list[CosignatureVerifier] = []
        for text in dict.fromkeys(verifier_keys):
            try:
                witnesses.append(CosignatureVerifier.parse(text))
            except NoteError:
                log.append(Verifier.parse(text))
        if not log:
            raise NoteError("a key of the log is needed, beside those of witnesses")
        return cls(tuple(log), tuple(witnesses))


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A checkpoint's note, and which of the known keys have signed it. Which must is not said."""

    checkpoint: Checkpoint
    log_keys: tuple[str, ...]
    cosigned: tuple[Cosigned, ...]


def open_checkpoint(note: str, keys: Keys) -> SignedNote:
    """Verify a note by known keys, and read the checkpoint in it.

    Signatures by others are let be; a bad one under a known key is refused, and so is a note that
    no key of the log has signed, or that states another log than the key's.

    Raises: NoteError, CheckpointError.
    """
    opened = open_note(note, [*keys.log, *keys.witnesses])
    checkpoint = Checkpoint.parse(opened.text)
    made = {(one.name, one.key_id): one.signature for one in opened.verified}
    signers = [key for key in keys.log if (key.name, key.key_id) in made]
    for key in signers:
        # The key of one log must not vouch for another log of the same installation.
        if key.name != checkpoint.origin:
            raise CheckpointError(
                f"the key {key.name} signed a checkpoint of another log, {checkpoint.origin}"
            )
    if not signers:
        raise NoteError("the note has no signature of a known key of the log")
    cosigned = [
        Cosigned(key.name, key.verifier_key, cosigned_at(made[key.name, key.key_id]))
        for key in keys.witnesses
        if (key.name, key.key_id) in made
    ]
    return SignedNote(checkpoint, tuple(map(key_text, signers)), tuple(cosigned))


def require_all(signed: SignedNote, keys: Keys) -> None:
    """Refuse a checkpoint that one of the keys has not signed.

    Raises: NoteError.
    """
    signers = {*signed.log_keys, *(one.verifier_key for one in signed.cosigned)}
    for key in (*map(key_text, keys.log), *(one.verifier_key for one in keys.witnesses)):
        if key not in signers:
            raise NoteError(f"it is not signed by {key}")


def key_text(key: Verifier) -> str:
    """The verifier key that `Verifier.parse` reads."""
    return write_verifier_key(key.name, _ED25519, key.public_key)


def unverified(note: str) -> tuple[Checkpoint, Note]:
    """A checkpoint and its note, of which nothing is verified: not to be believed.

    Raises: NoteError, CheckpointError.
    """
    taken = parse(note)
    return Checkpoint.parse(taken.text), taken
