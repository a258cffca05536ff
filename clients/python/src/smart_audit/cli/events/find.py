"""`smart-audit events get`, `list` and `search`: read what was recorded."""

from collections.abc import Iterator
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from smart_audit.api.audit.v1 import audit_pb2, search_pb2
from smart_audit.cli.calling import Calls, calls
from smart_audit.cli.events.columns import DETAILS, EVENTS
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.messages import row, rows
from smart_audit.cli.options import FilterOption, FromOption, LimitOption, ToOption, read_time
from smart_audit.cli.render import Column, Form, OutputOption, show, show_one
from smart_audit.cli.text import tell
from smart_audit.client.events import timestamp

_HITS: Final = [
    *(Column(f"event.{one.path}", one.heading, one.shown, one.spare) for one in EVENTS),
]
_KINDS: Final = [
    Column("group.text", "kind"),
    Column("group.count", "events"),
    Column("event.occurred_at", "latest", EVENTS[1].shown),
    Column("group.filter", "filter", spare=True),
]


@calls
def get(
    to: Calls,
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="The event's id, or its index in the log.")
    ],
    *,
    output: OutputOption = Form.TABLE,
) -> None:
    """Show an event with all that may be seen of it.

    Examples:
    smart-audit events get 01890a5d-ac96-7ab2-80e2-000000000001
    smart-audit events get 17 -o json
    """
    show_one(row(find(to, event)), DETAILS, output)


@calls
def list_(
    to: Calls,
    *,
    filter_: FilterOption = "",
    occurred_from: FromOption = "",
    occurred_before: ToOption = "",
    oldest_first: Annotated[
        bool, typer.Option("--oldest-first", help="In the order that they happened.")
    ] = False,
    limit: LimitOption = 50,
    output: OutputOption = Form.TABLE,
) -> None:
    """List events, the latest first.

    Examples:
    smart-audit events list
    smart-audit events list -f 'action:document AND outcome=DENIED' -n 10
    smart-audit events list --from 2026-01-01 --to 2026-02-01 -n 0 -o csv > january.csv
    """
    request = audit_pb2.ListEventsRequest(
        filter=filter_,
        order_by="occurred_at" if oldest_first else "",
        occurred_from=timestamp(read_time(occurred_from, "--from")) if occurred_from else None,
        occurred_before=timestamp(read_time(occurred_before, "--to")) if occurred_before else None,
    )
    show(rows(to.each(to.services.events.ListEvents, request, "events", limit)), EVENTS, output)


@calls
def search(
    to: Calls,
    words: Annotated[list[str], typer.Argument(help="What to look for, in plain words.")],
    *,
    filter_: FilterOption = "",
    literal: Annotated[bool, typer.Option("--literal", help="Take the words as they are.")] = False,
    kinds: Annotated[
        bool, typer.Option("--kinds", help="One line for each kind of event that was found.")
    ] = False,
    time_zone: Annotated[
        str, typer.Option(metavar="NAME", help="Where days begin, e.g. Europe/Berlin; else UTC.")
    ] = "",
    limit: LimitOption = 20,
    output: OutputOption = Form.TABLE,
) -> None:
    """Find events by what they mean, the best first; how it was understood goes to stderr.

    Examples:
    smart-audit events search who removed a file today
    smart-audit events search --kinds permission changes
    smart-audit events search --literal d_1 -o jsonl
    """
    request = search_pb2.SearchEventsRequest(
        query=" ".join(words),
        filter=filter_,
        literal=literal,
        time_zone=time_zone,
        grouping=search_pb2.GROUPING_KIND if kinds else search_pb2.GROUPING_NONE,
    )
    show(_hits(to, request, limit), _KINDS if kinds else _HITS, output)


def find(to: Calls, named: str) -> audit_pb2.Event:
    """An event by its id, or its index in the log. Raises: Failure, CallError."""
    if named.isdecimal():
        request = audit_pb2.ListEventsRequest(filter=f"log_index={named}", page_size=1)
        for event in to.call(to.services.events.ListEvents, request).events:
            return event
        raise Failure(f"there is no event at index {named} of the log", ExitCode.NOT_FOUND)
    try:
        event_id = str(UUID(named))
    except ValueError as error:
        raise Failure(f"{named!r} is neither an id nor an index", ExitCode.USAGE) from error
    answer = to.call(to.services.events.GetEvent, audit_pb2.GetEventRequest(event_id=event_id))
    return answer.event


def _hits(
    to: Calls, request: search_pb2.SearchEventsRequest, limit: int
) -> Iterator[dict[str, Any]]:
    left = limit or None
    told = False
    while True:
        request.page_size = min(left or 50, 50)
        answer = to.call(to.services.search.SearchEvents, request)
        if not told:
            told = True
            for one in answer.interpreted_as:
                tell(f"{one.text!r} is understood as {one.filter or one.note}")
        for hit in answer.hits[:left]:
            yield row(hit)
        left = None if left is None else left - len(answer.hits)
        if not answer.next_page_token or (left is not None and left <= 0):
            return
        request.page_token = answer.next_page_token
