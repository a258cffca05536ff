"""`smart-audit events tail`: events as they are recorded, live."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Protocol

import typer

from smart_audit.api.audit.v1 import tail_pb2
from smart_audit.cli.calling import Calling, calling
from smart_audit.cli.events.columns import EVENTS
from smart_audit.cli.events.live import LiveView
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.messages import row
from smart_audit.cli.options import FilterOption, read_time
from smart_audit.cli.render import Form, OutputOption, Row, rows_of_csv, write_line
from smart_audit.cli.text import complain
from smart_audit.client.errors import CallError
from smart_audit.client.events import timestamp
from smart_audit.client.tail import tail as follow

_GAP: Final = "  "


class Shower(Protocol):
    """Shows events as they come."""

    def show(self, event: Row) -> None:
        """Show one."""

    def trouble(self, error: CallError) -> None:
        """Say that the service is away, and that it is tried again."""


@calling
def tail(
    where: Calling,
    *,
    filter_: FilterOption = "",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Begin with what was recorded then or later.")
    ] = "",
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the first event of the log.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="End after so many; 0 for never.")
    ] = 0,
    output: OutputOption = Form.TABLE,
) -> None:
    """Follow events as they are recorded, until Ctrl-C; breaks on the way are bridged.

    Examples:
    smart-audit events tail
    smart-audit events tail -f 'outcome=DENIED'
    smart-audit events tail --since 2026-01-31 -o jsonl | jq .action
    """
    if output is Form.JSON:
        raise Failure("what has no end is no array: take -o jsonl", ExitCode.USAGE)
    where.require_known()
    request = tail_pb2.TailEventsRequest(filter=filter_)
    if from_start:
        request.from_start = True
    elif since:
        request.since.CopyFrom(timestamp(read_time(since, "--since")))
    with _shower(output, where.settings.address, filter_) as shower:
        asyncio.run(_follow(where, request, shower, limit))


async def _follow(
    where: Calling, request: tail_pb2.TailEventsRequest, shower: Shower, limit: int
) -> None:
    shown = 0
    async with (
        where.connect(where.session(), on_trouble=shower.trouble) as connection,
        aclosing(follow(connection, request, shower.trouble)) as records,
    ):
        async for record in records:
            for event in record.events.events:
                shower.show(row(event))
                shown += 1
                if shown == limit:
                    return


def _shower(form: Form, address: str, wanted: str) -> AbstractContextManager[Shower]:
    if form is Form.TABLE and sys.stdout.isatty():
        return LiveView(address, wanted)
    if form is Form.JSONL:
        return nullcontext(_Lines(write_line))
    if form is Form.CSV:
        return nullcontext(_Lines(rows_of_csv(EVENTS)))
    return nullcontext(_Lines(_write_plain))


@dataclass
class _Lines:
    """A line for each event, at once."""

    write: Callable[[Row], Any]
    _told: list[str] = field(default_factory=list)

    def show(self, event: Row) -> None:
        self._told.clear()
        self.write(event)
        sys.stdout.flush()

    def trouble(self, error: CallError) -> None:
        # Each attempt fails the same way: once is enough.
        if not self._told:
            complain(f"{error}; trying again")
        self._told.append(str(error))


def _write_plain(event: Row) -> None:
    sys.stdout.write(_GAP.join(column.cell(event) for column in EVENTS) + "\n")
