"""The proof of one entry as a file: its path, and the checkpoint that the path leads to.

    c2sp.org/tlog-proof@v1
    extra <base64>            optional, and vouched for by nothing but what the reader checks
    index <N>
    <hash, base64>            one a line, from the leaf's sibling to the root's child
    <blank line>
    <checkpoint, a signed note>

Source: C2SP tlog-proof.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Final

from smart_audit.tlog.hashing import HASH_SIZE

_MAGIC: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,19})", re.ASCII)
_EXTRA: Final = "extra "
_MAX_HASHES: Final = 64  # trees have less than 2**64 leaves
_MAX_SIZE: Final = 4_000_000  # bytes


class ProofFileError(ValueError):
    """A text that is not a proof of this format; the message says why."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A proof file's content; nothing in it is verified.

    index: from 0. hashes: 32 bytes each, leaf to root. checkpoint: the note as it is.
    extra: the application's own data, None when the file has none.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def text(self) -> str:
        """The file's content."""
        extra = [] if self.extra is None else [f"{_EXTRA}{b64encode(self.extra).decode()}"]
        hashes = [b64encode(one).decode() for one in self.hashes]
        lines = [_MAGIC, *extra, f"index {self.index}", *hashes, ""]
        return "".join(f"{line}\n" for line in lines) + self.checkpoint

    @classmethod
    def parse(cls, data: str | bytes) -> "TlogProof":
        """Read a file's content; only the spelling that `text` writes is accepted.

        Raises: ProofFileError.
        """
        if len(data) > _MAX_SIZE:
            raise ProofFileError(f"the proof has more than {_MAX_SIZE} bytes")
        try:
            text = data.decode() if isinstance(data, bytes) else data
        except UnicodeDecodeError as error:
            raise ProofFileError("the proof is not valid UTF-8") from error
        head, blank, checkpoint = text.partition("\n\n")
        magic, *lines = head.split("\n")
        if magic != _MAGIC or not blank:
            raise ProofFileError(f"the proof does not begin with {_MAGIC!r}")
        extra = None
        if lines and lines[0].startswith(_EXTRA):
            extra = _decode(lines.pop(0).removeprefix(_EXTRA))
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if index is None or int(index[1]) >= 1 << 64:
            raise ProofFileError("the proof names no index")
        if len(lines) > _MAX_HASHES:
            raise ProofFileError(f"the proof has {len(lines)} hashes, more than {_MAX_HASHES}")
        hashes = tuple(map(_decode, lines))
        if any(len(one) != HASH_SIZE for one in hashes):
            raise ProofFileError(f"a hash of the proof is not {HASH_SIZE} bytes long")
        return cls(int(index[1]), hashes, checkpoint, extra)


def _decode(encoded: str) -> bytes:
    try:
        decoded = b64decode(encoded, validate=True)
    except (Base64Error, ValueError) as error:
        raise ProofFileError(f"{encoded[:80]!r} is not base64") from error
    if b64encode(decoded).decode() != encoded:
        raise ProofFileError(f"{encoded[:80]!r} is not canonical base64")
    return decoded
