"""The formats by their names."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from smart_audit.audit.formats.base import Format
from smart_audit.audit.formats.comma import CommaSeparated
from smart_audit.audit.formats.jsonl import JsonLines


class FormatName(StrEnum):
    """What a caller may ask for."""

    JSONL = "jsonl"
    CSV = "csv"


FORMATS: Mapping[FormatName, Callable[[], Format]] = MappingProxyType(
    {
        FormatName.JSONL: JsonLines,
        FormatName.CSV: CommaSeparated,
    }
)


def open_format(name: FormatName) -> Format:
    """Begin a file."""
    return FORMATS[name]()
