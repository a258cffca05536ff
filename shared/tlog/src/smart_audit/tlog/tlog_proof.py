"""Proof files: that an entry is in a log, to be verified without asking anybody.

    c2sp.org/tlog-proof@v1
    extra <base64 of what the application adds; the line may be missing>
    index <index of the entry>
    <inclusion proof, leaf to root, one hash per line>
    <blank line>
    <checkpoint: the whole note, cosignatures included>

Whoever verifies knows the entry, and a policy of the log and the witnesses to be trusted. By
convention such a file is named *.tlog-proof.

Source: C2SP tlog-proof.
"""

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.note import MAX_NOTE_SIZE, NoteError, decode_base64, parse
from smart_audit.tlog.proofs import ProofError, verify_inclusion

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
FILE_EXTENSION: Final = ".tlog-proof"
MAX_PATH: Final = 64  # hashes: a tree has less than 2**64 leaves
MAX_PROOF_SIZE: Final = 2 * MAX_NOTE_SIZE  # bytes

_EXTRA: Final = "extra "
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,19})", re.ASCII)


class ProofFileError(ValueError):
    """A text that is not a proof file, or one that proves nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A proof file. Nothing in it is verified until `verify`, and `extra` not even then.

    index: of the entry, counted from 0; less than the checkpoint's size.
    path: hashes of 32 bytes, leaf to root.
    note: the checkpoint with its signatures, as it was published.
    extra: bytes with a meaning of the application's own; empty means that there are none.

    Raises: ProofFileError for values that no proof file can carry.
    """

    index: int
    path: tuple[bytes, ...]
    note: str
    extra: bytes = b""

    def __post_init__(self) -> None:
        size = _checkpoint(self.note).size
        if not 0 <= self.index < size:
            raise ProofFileError(f"entry {self.index} is not in a log of {size} entries")
        if len(self.path) > MAX_PATH:
            raise ProofFileError(f"the path has {len(self.path)} hashes, more than {MAX_PATH}")
        for position, value in enumerate(self.path):
            if len(value) != HASH_SIZE:
                raise ProofFileError(
                    f"hash {position} has {len(value)} bytes instead of {HASH_SIZE}"
                )

    @property
    def checkpoint(self) -> Checkpoint:
        """The state of the log which the path leads to."""
        return _checkpoint(self.note)

    def verify(self, leaf_hash: bytes) -> None:
        """Verify that the entry with this leaf hash, 32 bytes, is in the checkpoint's tree.

        Who signed the checkpoint is for `Policy.open` to say.

        Raises: ProofFileError.
        """
        checkpoint = self.checkpoint
        try:
            verify_inclusion(leaf_hash, self.index, checkpoint.size, self.path, checkpoint.root)
        except ProofError as error:
            raise ProofFileError(str(error)) from error

    def text(self) -> str:
        """The file's text, to be stored as UTF-8."""
        lines = [FIRST_LINE]
        if self.extra:
            lines.append(_EXTRA + b64encode(self.extra).decode())
        lines.append(f"index {self.index}")
        lines += (b64encode(value).decode() for value in self.path)
        return "\n".join(lines) + f"\n\n{self.note}"

    @classmethod
    def parse(cls, data: bytes | str) -> "TlogProof":
        """Read a proof file. Only the one spelling which `text` writes is accepted.

        Raises: ProofFileError.
        """
        above, blank, note = _decode(data).partition("\n\n")
        if not blank:
            raise ProofFileError("the proof has no blank line above the checkpoint")
        lines = above.split("\n")
        if lines.pop(0) != FIRST_LINE:
            raise ProofFileError(f"the first line is not {FIRST_LINE}")
        extra = b""
        if lines and lines[0].startswith(_EXTRA):
            extra = _bytes(lines.pop(0).removeprefix(_EXTRA), "extra")
            if not extra:
                raise ProofFileError("an extra line without data should be left out")
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if index is None:
            raise ProofFileError("the proof has no index line where one belongs")
        if len(lines) > MAX_PATH:
            raise ProofFileError(f"the path has {len(lines)} hashes, more than {MAX_PATH}")
        path = tuple(_bytes(line, f"hash {place}") for place, line in enumerate(lines))
        return cls(int(index[1]), path, note, extra)


def _decode(data: bytes | str) -> str:
    try:
        raw = data.encode() if isinstance(data, str) else data
        if len(raw) > MAX_PROOF_SIZE:
            raise ProofFileError(f"the proof has more than {MAX_PROOF_SIZE} bytes")
        return raw.decode()
    except UnicodeError as error:
        raise ProofFileError("the proof is not valid UTF-8") from error


def _bytes(line: str, what: str) -> bytes:
    try:
        return decode_base64(line)
    except NoteError as error:
        raise ProofFileError(f"{what}: {error}") from error


def _checkpoint(note: str) -> Checkpoint:
    try:
        return Checkpoint.parse(parse(note).text)
    except (NoteError, CheckpointError) as error:
        raise ProofFileError(f"the checkpoint: {error}") from error
