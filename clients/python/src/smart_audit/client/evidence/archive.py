"""Reading the zip of a bundle, which may be anything at all."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from lzma import LZMAError
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from smart_audit.client.evidence.formats import ZIP_TIME
from smart_audit.client.evidence.lines import EvidenceError
from smart_audit.client.evidence.manifest import Member

MAX_TEXT: Final = 128 * 1024 * 1024  # bytes of a member that is read as a whole
MAX_LINE: Final = 16 * 1024 * 1024  # bytes; a leaf of 64 KiB and metadata of 256 KiB fit by far
_CHUNK: Final = 1024 * 1024
_IS_ENCRYPTED: Final = 0x1
# Before each member: method, CRC, and the sizes of name and extra field that follow the header.
_LOCAL_HEADER: Final = struct.Struct("<8xH4xL8xHH")
# Behind the directory, with no comment (APPNOTE, section 4.3.16).
_END_SIZE: Final = 22  # bytes
_END_MARK: Final = b"PK\5\6"

# What Python's zipfile raises over broken input, beside its own error.
_BROKEN: Final = (
    BadZipFile,
    EOFError,
    IndexError,
    KeyError,
    LZMAError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)


class Archive:
    """The members of a bundle.

    Raises: EvidenceError for what is not a zip; OSError for a file that cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            with _readable(path.name):
                self._zip = ZipFile(self._file)
        except EvidenceError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()
        self._file.close()

    @property
    def names(self) -> list[str]:
        """The members' names in their order."""
        return self._zip.namelist()

    def oddities(self) -> Iterator[tuple[str, str]]:
        """(place, why) for all that another reader may read differently."""
        if self._zip.comment:
            yield "zip", "it has a comment"
        seen: set[str] = set()
        for info in self._zip.infolist():
            if info.filename in seen:
                yield info.filename, "it is there twice"
            elif info.orig_filename != info.filename:
                yield info.filename, "its name has a strange spelling"
            elif info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                yield info.filename, "it is compressed in an unknown way"
            elif info.flag_bits & _IS_ENCRYPTED:
                yield info.filename, "it is encrypted"
            elif info.date_time != ZIP_TIME or info.comment:
                yield info.filename, "its time in the zip is not the fixed one, or it has a comment"
            seen.add(info.filename)
        yield from self._gaps()

    def _gaps(self) -> Iterator[tuple[str, str]]:
        """Bytes that are no member's: a reader that goes from front to back may find more there."""
        at = 0
        for info in self._zip.infolist():
            self._file.seek(at)
            header = self._file.read(_LOCAL_HEADER.size)
            if info.header_offset != at or len(header) < _LOCAL_HEADER.size:
                yield info.filename, "it does not follow the one before it"
                return
            method, crc, name_size, extra_size = _LOCAL_HEADER.unpack(header)
            if (method, crc) != (info.compress_type, info.CRC):
                yield info.filename, "the zip says two things of it"
            at += len(header) + name_size + extra_size + info.compress_size
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(size - _END_SIZE, 0))
        if at != self._zip.start_dir or self._file.read(4) != _END_MARK:
            yield "zip", "there are bytes in it that belong to no member"

    def read(self, name: str) -> bytes:
        """A whole member. Raises: EvidenceError."""
        with self._opened(name) as member:
            data = member.read(MAX_TEXT + 1)
        if len(data) > MAX_TEXT:
            raise EvidenceError(name, f"it has more than {MAX_TEXT} bytes")
        return data

    def noted(self, name: str) -> Member:
        """Digest and size of a member. Raises: EvidenceError."""
        digest, size = sha256(), 0
        for data in self.chunks(name):
            digest.update(data)
            size += len(data)
        return Member(digest.hexdigest(), size)

    def chunks(self, name: str) -> Iterator[bytes]:
        """A member piece by piece. Raises: EvidenceError."""
        with self._opened(name) as member:
            while data := member.read(_CHUNK):
                yield data

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member, newlines included. Raises: EvidenceError."""
        with self._opened(name) as member:
            while data := member.readline(MAX_LINE):
                if len(data) == MAX_LINE:
                    raise EvidenceError(name, f"a line has more than {MAX_LINE} bytes")
                yield data

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        if name not in self._zip.NameToInfo:
            raise EvidenceError(name, "it is missing")
        with _readable(name), self._zip.open(name) as member:
            yield member


@contextmanager
def _readable(place: str) -> Iterator[None]:
    """Raises: EvidenceError for what a broken zip leads to."""
    try:
        yield
    except EvidenceError:
        raise
    except _BROKEN as error:
        raise EvidenceError(place, f"it cannot be read from the zip: {error}") from error
