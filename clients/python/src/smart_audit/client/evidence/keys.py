"""Whose signatures stand under a bundle's checkpoint.

`keys.txt` is a policy file of the log's ecosystem (C2SP tlog-policy): the log's keys, and those of
the witnesses whose cosignatures the checkpoint carries.

Source: C2SP signed-note, tlog-checkpoint, tlog-cosignature.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from smart_audit.client import keys as known
from smart_audit.client.evidence.formats import CHECKPOINT, KEYS
from smart_audit.client.evidence.lines import EvidenceError
from smart_audit.client.keys import Cosigned, SignedNote, open_checkpoint, require_all
from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.cosignature import CosignatureVerifier
from smart_audit.tlog.note import NoteError, Verifier


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint whose signatures were verified. cosigned: in the order of the keys."""

    checkpoint: Checkpoint
    note: str
    cosigned: tuple[Cosigned, ...]


@dataclass(frozen=True, slots=True)
class Keys:
    """Verifier keys ("vkeys") of the log, and of witnesses."""

    log: tuple[str, ...]
    witnesses: tuple[str, ...] = ()

    def text(self) -> str:
        """The member `keys.txt`."""
        return "".join(
            [
                *(f"log {key}\n" for key in self.log),
                *(f"witness w{place} {key}\n" for place, key in enumerate(self.witnesses, 1)),
                "quorum none\n",
            ]
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` wrote.

        Raises: EvidenceError.
        """
        log: list[str] = []
        witnesses: list[str] = []
        for line in text.split("\n"):
            match line.split(" "):
                case ["log", key]:
                    log.append(key)
                case ["witness", _, key]:
                    witnesses.append(key)
        keys = cls(tuple(log), tuple(witnesses))
        if keys.text() != text or not log:
            raise EvidenceError(KEYS, "it is not a list of log keys, witness keys and a quorum")
        return keys

    def open(self, note: str) -> Signed:
        """Verify that all of these keys have signed the note, and read the checkpoint in it.

        Signatures of others are let be.

        Raises: EvidenceError.
        """
        try:
            keys = known.Keys(
                tuple(map(Verifier.parse, self.log)),
                tuple(map(CosignatureVerifier.parse, self.witnesses)),
            )
        except NoteError as error:
            raise EvidenceError(KEYS, str(error)) from error
        try:
            signed = open_checkpoint(note, keys)
            require_all(signed, keys)
        except (NoteError, CheckpointError) as error:
            raise EvidenceError(CHECKPOINT, str(error)) from error
        return Signed(signed.checkpoint, note, signed.cosigned)


def open_by_trusted(note: str, trusted: Iterable[str]) -> SignedNote:
    """Verify that each of the keys that the caller trusts has signed a note.

    Raises: EvidenceError.
    """
    try:
        keys = known.Keys.parse(trusted)
        signed = open_checkpoint(note, keys)
        require_all(signed, keys)
    except (NoteError, CheckpointError) as error:
        raise EvidenceError(CHECKPOINT, f"by the keys that you trust: {error}") from error
    return signed
