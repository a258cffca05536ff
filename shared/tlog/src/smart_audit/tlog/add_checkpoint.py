"""What a log and a witness say to each other: `POST <prefix>/add-checkpoint`.

    old <size that the witness cosigned last>
    <consistency proof, one hash per line>
    <blank line>
    <checkpoint: the whole note>

The reply is signature lines to put below the checkpoint. A witness whose last size is another
answers 409 with that size, so that the log can send the proof from there.

Source: C2SP tlog-witness, section "add-checkpoint".
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.note import (
    MAX_SIGNATURES,
    NoteError,
    NoteSignature,
    NoteVerifier,
    decode_base64,
    open_note,
    parse,
)

MAX_PATH: Final = 63  # hashes
# Bytes; room for the proof and for sixty post-quantum signatures.
MAX_REQUEST_SIZE: Final = 256 * 1024
SIZE_CONTENT_TYPE: Final = "text/x.tlog.size"

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,19})", re.ASCII)
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,19})\n")


class AddCheckpointError(ValueError):
    """A request or a reply that is malformed; the message says why."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The request to cosign a checkpoint. Nothing in it is verified.

    old_size: the leaves of the state which the witness knows, less than 2**64.
    path: at most 63 hashes of 32 bytes, the consistency proof from old_size.
    note: the checkpoint with its signatures, as the log publishes it.

    Raises: AddCheckpointError for values that no request can carry.
    """

    old_size: int
    path: tuple[bytes, ...]
    note: str

    def __post_init__(self) -> None:
        if not 0 <= self.old_size < 1 << 64:
            raise AddCheckpointError(f"old size {self.old_size} is not a 64-bit number")
        if len(self.path) > MAX_PATH:
            raise AddCheckpointError(f"the proof has {len(self.path)} hashes, more than {MAX_PATH}")
        for position, value in enumerate(self.path):
            if len(value) != HASH_SIZE:
                raise AddCheckpointError(
                    f"hash {position} has {len(value)} bytes instead of {HASH_SIZE}"
                )
        _checkpoint(self.note)

    @property
    def checkpoint(self) -> Checkpoint:
        """The state to be cosigned."""
        return _checkpoint(self.note)

    def body(self) -> bytes:
        """The request's body, UTF-8."""
        lines = (f"old {self.old_size}", *(b64encode(value).decode() for value in self.path))
        return ("\n".join(lines) + f"\n\n{self.note}").encode()

    @classmethod
    def parse(cls, body: bytes) -> "AddCheckpoint":
        """Read a request's body. Only the one spelling which `body` writes is accepted.

        Raises: AddCheckpointError.
        """
        if len(body) > MAX_REQUEST_SIZE:
            raise AddCheckpointError(f"the request has more than {MAX_REQUEST_SIZE} bytes")
        above, blank, note = _decode(body).partition("\n\n")
        if not blank:
            raise AddCheckpointError("the request has no blank line above the checkpoint")
        first, *hashes = above.split("\n")
        old = _OLD.fullmatch(first)
        if old is None:
            raise AddCheckpointError("the first line is not the old size")
        if len(hashes) > MAX_PATH:
            raise AddCheckpointError(f"the proof has {len(hashes)} hashes, more than {MAX_PATH}")
        try:
            path = tuple(map(decode_base64, hashes))
        except NoteError as error:
            raise AddCheckpointError(f"the proof: {error}") from error
        return cls(int(old[1]), path, note)


def cosigned_body(signatures: Iterable[NoteSignature]) -> bytes:
    """The body of the reply 200: one line per signature.

    Raises: AddCheckpointError when there is none.
    """
    lines = "".join(signature.line() for signature in signatures)
    if not lines:
        raise AddCheckpointError("a reply has at least one signature")
    return lines.encode()


def parse_cosigned(body: bytes) -> tuple[NoteSignature, ...]:
    """The signature lines of the reply 200; nothing is verified.

    Raises: AddCheckpointError.
    """
    text = _decode(body)
    lines = text.split("\n")
    if lines.pop() or not lines:
        raise AddCheckpointError("the reply does not end with a signature line")
    if len(lines) > MAX_SIGNATURES:
        raise AddCheckpointError(f"the reply has more than {MAX_SIGNATURES} signatures")
    try:
        return tuple(map(NoteSignature.parse, lines))
    except NoteError as error:
        raise AddCheckpointError(str(error)) from error


def open_cosigned(
    body: bytes, text: str, witnesses: Sequence[NoteVerifier]
) -> tuple[NoteSignature, ...]:
    """The verified cosignatures of known witnesses in the reply 200, one per witness.

    text: the text of the checkpoint that was sent.

    Raises: AddCheckpointError for a malformed reply, and for one without a good signature of
    a known witness or with a bad one.
    """
    parse_cosigned(body)
    try:
        return open_note(f"{text}\n{_decode(body)}", witnesses).verified
    except NoteError as error:
        raise AddCheckpointError(str(error)) from error


def size_body(size: int) -> bytes:
    """The body of the reply 409: the size that the witness cosigned last."""
    return f"{size}\n".encode()


def parse_size(body: bytes) -> int:
    """The size in the reply 409, less than 2**64.

    Raises: AddCheckpointError.
    """
    match = _SIZE.fullmatch(body)
    if match is None or (size := int(match[1])) >= 1 << 64:
        raise AddCheckpointError("the reply is not a tree size")
    return size


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise AddCheckpointError("not valid UTF-8") from error


def _checkpoint(note: str) -> Checkpoint:
    try:
        return Checkpoint.parse(parse(note).text)
    except (NoteError, CheckpointError) as error:
        raise AddCheckpointError(f"the checkpoint: {error}") from error
