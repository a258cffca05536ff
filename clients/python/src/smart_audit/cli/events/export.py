"""`smart-audit events export`: all events that a filter asks for, as a file of some format."""

import asyncio
import sys
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from smart_audit.api.audit.v1 import exports_pb2
from smart_audit.cli.calling import Calling, calling
from smart_audit.cli.failures import Failure
from smart_audit.cli.options import FilterOption, QuietOption
from smart_audit.cli.text import tell
from smart_audit.client.aio import AsyncClient
from smart_audit.client.export import ExportBroken

_SILENCE_S = 60.0


class Format(StrEnum):
    """The format of the file."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    OCSF = "ocsf"
    CLOUDEVENTS = "cloudevents"
    CEF = "cef"


@calling
def export(
    where: Calling,
    *,
    filter_: FilterOption = "",
    format_: Annotated[Format, typer.Option("--format", help="See docs/formats.md.")] = (
        Format.JSONL
    ),
    proofs: Annotated[
        bool, typer.Option("--proofs", help="With what proves each event, where the format can.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="The file, there only once it is whole; else stdout."
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write all events that a filter asks for to a file, in the order of the log.

    Examples:
    smart-audit events export --out events.jsonl
    smart-audit events export --format parquet --out events.parquet
    smart-audit events export -f 'occurred_at>=2026-01-01' --format ocsf | gzip > january.gz
    """
    where.require_known()
    try:
        if out is None:
            asyncio.run(_stream(where, _request(format_, filter_, proofs=proofs)))
            return
        size = asyncio.run(_write(where, out, format_, filter_, proofs=proofs))
    except ExportBroken as error:
        raise Failure(str(error)) from error
    tell(f"wrote {out}, {size} bytes", quiet=quiet)


async def _write(where: Calling, out: Path, form: Format, wanted: str, *, proofs: bool) -> int:
    """Raises: ExportBroken, CallError, OSError."""
    async with AsyncClient(settings=where.settings) as client:
        return await client.events.export(out, form.value, filter=wanted, proofs=proofs)


async def _stream(where: Calling, request: exports_pb2.ExportEventsRequest) -> None:
    """Every format ends with a record that says whether it is whole: the reader can tell."""
    async with where.connect(where.session()) as connection:
        chunks = connection.stream(connection.exports.ExportEvents, request, _SILENCE_S)
        async with aclosing(chunks):
            async for chunk in chunks:
                sys.stdout.buffer.write(chunk.data)
        sys.stdout.buffer.flush()


def _request(form: Format, wanted: str, *, proofs: bool) -> exports_pb2.ExportEventsRequest:
    number = exports_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{form.name}")
    return exports_pb2.ExportEventsRequest(format=number, filter=wanted, proofs=proofs)
