"""Entry bundles: the entries of a log as they are served, 256 to a file.

Each entry stands below its length, a big-endian uint16. Bundle n holds the entries that tile n
of level 0 holds the hashes of, so a full one has 256 and only the log's last one has fewer.

Source: C2SP tlog-tiles, section "Log entries".
"""

from collections.abc import Iterable
from typing import Final

from smart_audit.tlog.tiles import TILE_WIDTH

MAX_ENTRY_SIZE: Final = 0xFFFF  # bytes

_LENGTH_SIZE: Final = 2  # bytes


class BundleError(ValueError):
    """Bytes that are not an entry bundle, or entries that fit none; the message says why."""


def pack(entries: Iterable[bytes]) -> bytes:
    """The bundle of 1 to 256 entries, each of at most 65,535 bytes.

    Raises: BundleError.
    """
    parts: list[bytes] = []
    count = 0
    for entry in entries:
        if len(entry) > MAX_ENTRY_SIZE:
            raise BundleError(f"entry {count} has {len(entry)} bytes, more than {MAX_ENTRY_SIZE}")
        parts += len(entry).to_bytes(_LENGTH_SIZE, "big"), entry
        count += 1
    _require_width(count)
    return b"".join(parts)


def unpack(data: bytes, width: int | None = None) -> list[bytes]:
    """The entries of a bundle, in the order of the log.

    width: how many there must be, 1 to 256; None takes any such number.

    Raises: BundleError.
    """
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        begin = position + _LENGTH_SIZE
        end = begin + int.from_bytes(data[position:begin], "big")
        # A length that is itself cut off ends here too: begin is then beyond the data.
        if end > len(data):
            raise BundleError(f"the bundle ends within entry {len(entries)}")
        entries.append(data[begin:end])
        position = end
        if len(entries) > TILE_WIDTH:
            break
    _require_width(len(entries))
    if width is not None and len(entries) != width:
        raise BundleError(f"the bundle has {len(entries)} entries, not {width}")
    return entries


def _require_width(count: int) -> None:
    if not count:
        raise BundleError("an empty bundle is never served")
    if count > TILE_WIDTH:
        raise BundleError(f"a bundle has at most {TILE_WIDTH} entries")
