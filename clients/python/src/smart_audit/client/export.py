"""Writing an export to a file, and telling a whole one from one that broke off."""

import hashlib
import os
import re
import secrets
from contextlib import aclosing
from pathlib import Path
from typing import Final

from smart_audit.api.audit.v1 import exports_pb2
from smart_audit.client.caller import Caller

_JSON_END: Final = re.compile(rb'\{"end":.*"complete": ?true.*"sha256": ?"([0-9a-f]{64})"')
# How the last line of each format says that nothing is missing, and the digest of all before it.
# A Parquet file has a footer instead: without it it cannot be read.
_ENDS: Final = {
    exports_pb2.EXPORT_FORMAT_JSONL: _JSON_END,
    exports_pb2.EXPORT_FORMAT_OCSF: _JSON_END,
    exports_pb2.EXPORT_FORMAT_CLOUDEVENTS: _JSON_END,
    exports_pb2.EXPORT_FORMAT_CSV: re.compile(rb'"?#end complete=true .*sha256=([0-9a-f]{64})'),
    exports_pb2.EXPORT_FORMAT_CEF: re.compile(
        rb".*\|export\.end\|.*outcome=success.*cs1=([0-9a-f]{64})"
    ),
}


class ExportBroken(Exception):
    """An export that broke off on its way, or whose bytes are not those that were sent."""


async def write_export(caller: Caller, request: exports_pb2.ExportEventsRequest, path: Path) -> int:
    """Write an export, which takes its name only once it is whole; gives its size in bytes.

    Raises: ExportBroken, CallError, OSError.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            end = _End()
            chunks = caller.stream(caller.connection.exports.ExportEvents, request)
            async with aclosing(chunks):
                async for chunk in chunks:
                    end.add(chunk.data)
                    file.write(chunk.data)
            end.require_whole(request.format)
            file.flush()
            os.fsync(descriptor)
            size = file.tell()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return size


class _End:
    """The digest of all lines but the last, and the last."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._last = b""

    def add(self, data: bytes) -> None:
        """Take in the next bytes."""
        self._last += data
        # The last line ends with a newline of its own: the one before it is looked for.
        cut = self._last.rfind(b"\n", 0, len(self._last.rstrip(b"\r\n"))) + 1
        self._digest.update(self._last[:cut])
        self._last = self._last[cut:]

    def require_whole(self, format_: exports_pb2.ExportFormat.ValueType) -> None:
        """Raises: ExportBroken."""
        form = _ENDS.get(format_)
        if form is None:
            return
        found = form.match(self._last)
        if found is None:
            raise ExportBroken("the export broke off: its last record is not there")
        if found[1].decode() != self._digest.hexdigest():
            raise ExportBroken("the export is damaged: its digest is another than it says")
