"""Checkpoints: the text of a note that states a log's size and root.

Source: C2SP tlog-checkpoint, section "Note text".
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Final

from smart_audit.tlog.hashing import HASH_SIZE

_MIN_LINES: Final = 3  # origin, size, root
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f]")


class CheckpointError(ValueError):
    """A text that is not a checkpoint; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log.

    origin: the log's name, by recommendation a URL without its scheme.
    size: leaves, less than 2**64.
    root: 32 bytes.
    extensions: further lines, kept as they are and given no meaning.

    Raises: CheckpointError for values that no checkpoint can carry.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size < 1 << 64:
            raise CheckpointError(f"tree size {self.size} is not a 64-bit number")
        if len(self.root) != HASH_SIZE:
            raise CheckpointError(f"root hash has {len(self.root)} bytes instead of {HASH_SIZE}")
        for line in (self.origin, *self.extensions):
            if not line:
                raise CheckpointError("a line is empty")
            if _CONTROL.search(line):
                raise CheckpointError(f"line {line!r} has a control character")

    def text(self) -> str:
        """The note text: three lines and the extensions, each ended by a newline."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read a note text. Only the one spelling which `text` writes is accepted.

        Raises: CheckpointError.
        """
        if not text.endswith("\n"):
            raise CheckpointError("the last line is not ended by a newline")
        lines = text[:-1].split("\n")
        if len(lines) < _MIN_LINES:
            raise CheckpointError(f"a checkpoint has at least {_MIN_LINES} lines, not {len(lines)}")
        origin, size, root, *extensions = lines
        if not _SIZE.fullmatch(size):
            raise CheckpointError(f"tree size {size!r} is not a decimal number without leading 0")
        return cls(origin, int(size), _root(root), tuple(extensions))


def _root(line: str) -> bytes:
    try:
        root = b64decode(line, validate=True)
    except (Base64Error, ValueError) as error:
        raise CheckpointError(f"root hash {line!r} is not base64") from error
    # Base64 leaves bits over at the end: several spellings decode to the same bytes.
    if b64encode(root).decode() != line:
        raise CheckpointError(f"root hash {line!r} is not canonical base64")
    return root
