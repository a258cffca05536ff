"""Events on disk: a folder of segments that are appended to, sent from the oldest, and removed.

A segment is a file of frames: the event's length and its CRC-32, four bytes each, the lowest first,
then the event. A segment goes when all of it has been sent; what a process that died had sent of it
is sent again, and is known by its id.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from smart_audit.client import private_files
from smart_audit.client.recorder.counters import Lost, Tally

SEGMENT_BYTES: Final = 1024 * 1024
_FRAME: Final = struct.Struct("<II")
SUFFIX: Final = ".events"
OWNER: Final = "owner"
_LOCK: Final = "lock"


class SpoolFull(Exception):
    """There is no room for more."""


@dataclass(slots=True)
class _Segment:
    """events: not sent yet; size: written, in bytes; read: sent, in bytes."""

    path: Path
    events: int = 0
    size: int = 0
    read: int = 0


class Spool:
    """The segments of one process, which is alone with them as long as it lives.

    max_bytes: what it may hold. sync: whether each append is on the disk, rather than with the
    operating system, before the next begins.
    Raises: OSError; BlockingIOError when another process has the folder.
    """

    def __init__(self, folder: Path, max_bytes: int, tally: Tally, *, sync: bool) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max(1, max_bytes // 8))
        self._tally = tally
        self._sync = sync
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._segments = [self._found(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
            self._number = max((int(one.path.stem) for one in self._segments), default=0)
        except BaseException:
            os.close(self._lock)
            raise
        self._writing: int | None = None
        self._owner = ""

    @classmethod
    def adopt(cls, folder: Path, tally: Tally) -> Self | None:
        """What another process has left behind; None while it lives. Raises: OSError."""
        try:
            return cls(folder, 0, tally, sync=False)
        except BlockingIOError:
            return None

    def own(self, owner: str) -> None:
        """Note whose events they are, for who finds them. Raises: OSError."""
        if owner != self._owner:
            private_files.write(self._folder / OWNER, owner)
            self._owner = owner

    def __len__(self) -> int:
        return sum(one.events for one in self._segments)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(one.size for one in self._segments)

    def append(self, events: Sequence[bytes]) -> None:
        """Write events behind the others: all or none.

        Raises: SpoolFull; OSError, as when the disk is full.
        """
        data = b"".join(_FRAME.pack(len(one), zlib.crc32(one)) + one for one in events)
        if self.size + len(data) > self._max_bytes:
            raise SpoolFull
        segment, descriptor = self._open_segment()
        try:
            _write_all(descriptor, data)
            if self._sync:
                os.fsync(descriptor)
        except OSError:
            # A frame that is half written would make all behind it unreadable: nothing more goes
            # into this segment, whether or not it can be cut.
            with suppress(OSError):
                os.ftruncate(descriptor, segment.size)
            if segment.size:
                self._close_segment()
            else:
                self._remove(segment)
            raise
        segment.size += len(data)
        segment.events += len(events)
        self._tally.add_spooled(len(events))

    def peek(self, max_events: int, max_bytes: int) -> list[bytes]:
        """The oldest events, which stay until `advance`. Raises: OSError."""
        while self._segments:
            head = self._segments[0]
            found = _frames(head, max_events, max_bytes)
            if found:
                return found
            if head.read < head.size:
                self._tally.add_dropped(Lost.UNREADABLE)
                head.read, head.events = head.size, 0
            if len(self._segments) == 1 and self._writing is not None:
                return []
            self._remove(head)
        return []

    def advance(self, events: Sequence[bytes]) -> None:
        """These, the oldest, have been sent. Raises: OSError."""
        head = self._segments[0]
        head.read += sum(_FRAME.size + len(one) for one in events)
        head.events -= len(events)
        if head.read == head.size:
            self._remove(head)

    def drop_oldest(self) -> bool:
        """Make room, if there is a segment that is neither sent from nor written to.

        Raises: OSError.
        """
        if len(self._segments) < 3:  # noqa: PLR2004  (the first, this one, the last)
            return False
        self._tally.add_dropped(Lost.SPOOL_FULL, self._segments[1].events)
        self._remove(self._segments[1])
        return True

    def close(self) -> None:
        """Let go of the folder; it is removed when nothing is left in it."""
        self._close_segment()
        if not self._segments:
            (self._folder / OWNER).unlink(missing_ok=True)
            (self._folder / _LOCK).unlink(missing_ok=True)
            # Somebody else may have put something there.
            with suppress(OSError):
                self._folder.rmdir()
        os.close(self._lock)

    def leave(self) -> None:
        """In the child of a fork: the folder is the parent's, and must be free when that ends."""
        if self._writing is not None:
            os.close(self._writing)
        os.close(self._lock)

    def _found(self, path: Path) -> _Segment:
        segment = _Segment(path, size=path.stat().st_size)
        segment.events = len(_frames(segment, segment.size, segment.size))
        return segment

    def _open_segment(self) -> tuple[_Segment, int]:
        if self._writing is not None and self._segments[-1].size >= self._segment_bytes:
            self._close_segment()
        if self._writing is None:
            self._number += 1
            path = self._folder / f"{self._number:012}{SUFFIX}"
            self._writing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._segments.append(_Segment(path))
        return self._segments[-1], self._writing

    def _close_segment(self) -> None:
        descriptor, self._writing = self._writing, None
        if descriptor is not None:
            os.close(descriptor)

    def _remove(self, segment: _Segment) -> None:
        if segment is self._segments[-1]:
            self._close_segment()
        self._segments.remove(segment)
        segment.path.unlink(missing_ok=True)


def is_held(folder: Path) -> bool:
    """Whether the process whose spool is there lives. Raises: OSError."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _frames(segment: _Segment, max_events: int, max_bytes: int) -> list[bytes]:
    """Whole frames from where the segment was read to; it may end in less than one."""
    with segment.path.open("rb") as file:
        file.seek(segment.read)
        data = file.read(min(max_bytes + _FRAME.size, segment.size - segment.read))
    found: list[bytes] = []
    place = 0
    while len(found) < max_events and place + _FRAME.size <= len(data):
        size, crc = _FRAME.unpack_from(data, place)
        event = data[place + _FRAME.size : place + _FRAME.size + size]
        if len(event) != size or zlib.crc32(event) != crc:
            break
        found.append(event)
        place += _FRAME.size + size
    return found


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
