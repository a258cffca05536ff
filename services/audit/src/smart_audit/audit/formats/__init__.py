"""Events as files of other systems read them: pure, one module a format (docs/formats.md).

A format takes events in chunks and gives bytes, so that an export of any length is written in the
memory of one chunk.
"""

from smart_audit.audit.formats.base import Format
from smart_audit.audit.formats.opening import FORMATS, FormatName, open_format

__all__ = ["FORMATS", "Format", "FormatName", "open_format"]
