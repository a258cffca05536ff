"""The formats by their names."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from smart_audit.audit.errors import ExportFormatUnavailable
from smart_audit.audit.formats.base import Format
from smart_audit.audit.formats.cef import Cef
from smart_audit.audit.formats.cloudevents import CloudEvents
from smart_audit.audit.formats.comma import CommaSeparated
from smart_audit.audit.formats.jsonl import JsonLines
from smart_audit.audit.formats.ocsf import Ocsf


class FormatName(StrEnum):
    """What a caller may ask for."""

    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"
    CLOUDEVENTS = "cloudevents"
    CEF = "cef"
    PARQUET = "parquet"


def _parquet() -> Format:
    """Raises: ExportFormatUnavailable."""
    try:
        # Arrow is large, optional, and slow to import: only who asks for Parquet pays for it.
        from smart_audit.audit.formats.parquet import Parquet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise ExportFormatUnavailable(
            "this installation writes no Parquet; install smart-audit-audit[parquet] beside the "
            "audit service, or ask for another format",
            format=FormatName.PARQUET.value,
        ) from error
    return Parquet()


FORMATS: Mapping[FormatName, Callable[[], Format]] = MappingProxyType(
    {
        FormatName.JSONL: JsonLines,
        FormatName.CSV: CommaSeparated,
        FormatName.OCSF: Ocsf,
        FormatName.CLOUDEVENTS: CloudEvents,
        FormatName.CEF: Cef,
        FormatName.PARQUET: _parquet,
    }
)


def open_format(name: FormatName) -> Format:
    """Begin a file.

    Raises: ExportFormatUnavailable when the format needs a package that is not installed.
    """
    return FORMATS[name]()
