"""`smart-audit events count`: what happened, in numbers."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from smart_audit.api.audit.v1 import analytics_pb2
from smart_audit.cli.calling import Calls, calls
from smart_audit.cli.messages import row, rows
from smart_audit.cli.options import FilterOption, FromOption, ToOption, read_time
from smart_audit.cli.render import Column, Form, OutputOption, plain, show, time
from smart_audit.cli.text import tell
from smart_audit.client.events import timestamp


class Every(StrEnum):
    """How long a piece of the time line is."""

    AUTO = "auto"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


_GROUPS: Final = [
    Column("value", shown=lambda value: plain(value) or "(none)"),
    Column("count"),
    Column("filter", spare=True),
]
_BUCKETS: Final = [Column("start", "from", shown=time), Column("count")]


@calls
def count(
    to: Calls,
    by: Annotated[
        str,
        typer.Option(
            metavar="FIELD",
            help="Count by action, actor.id, target.id, target.type, outcome, outcome_reason, "
            "source, source_address or kind.",
        ),
    ] = "action",
    *,
    every: Annotated[
        Every | None, typer.Option(help="Count over time instead, in pieces so long.")
    ] = None,
    filter_: FilterOption = "",
    occurred_from: FromOption = "",
    occurred_before: ToOption = "",
    top: Annotated[int, typer.Option(min=1, max=100, help="How many values to list.")] = 10,
    output: OutputOption = Form.TABLE,
) -> None:
    """Count events by a field, or over time.

    Examples:
    smart-audit events count
    smart-audit events count --by actor.id -f outcome=DENIED
    smart-audit events count --every hour --from 2026-01-31 -o csv
    """
    request = analytics_pb2.AggregateEventsRequest(
        filter=filter_,
        occurred_from=timestamp(read_time(occurred_from, "--from")) if occurred_from else None,
        occurred_before=timestamp(read_time(occurred_before, "--to")) if occurred_before else None,
        group_by=[] if every else [by],
        bucket=analytics_pb2.TimeBucket.Value(
            f"TIME_BUCKET_{every.name if every else 'UNSPECIFIED'}"
        ),
        top=top,
    )
    answer = to.call(to.services.analytics.AggregateEvents, request)
    if every:
        show(rows(answer.buckets), _BUCKETS, output)
    else:
        show(rows(answer.groups), _GROUPS, output)
        if answer.other.groups:
            other = row(answer.other)
            tell(f"and {other['count']} events with {other['groups']} other values")
    if output is Form.TABLE:
        tell(f"{answer.total} events in all")
