"""`smart-audit top`: the last minutes of a log on one screen, live."""

import asyncio
import os
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from smart_audit.api.audit.v1 import analytics_pb2, audit_pb2, tail_pb2
from smart_audit.cli.calling import Calling, calling
from smart_audit.cli.messages import row
from smart_audit.cli.options import FilterOption
from smart_audit.cli.render import Column, Form, OutputOption, show_one
from smart_audit.cli.top.view import Place, screen
from smart_audit.cli.top.window import MINUTE_S, Window
from smart_audit.client.connection import Connection
from smart_audit.client.errors import CallError
from smart_audit.client.events import timestamp
from smart_audit.client.tail import tail

_REFRESH_S: Final = 0.5
_TOP: Final = 10
_COUNTED: Final = 50
_FAILED: Final = "outcome=(FAILURE OR DENIED)"
_SHOWN: Final = [
    Column("minutes"),
    Column("total"),
    Column("per_minute"),
    Column("failed"),
    Column("actions"),
    Column("actors"),
]


@calling
def top(
    where: Calling,
    *,
    minutes: Annotated[
        int, typer.Option(min=1, max=720, help="How many minutes to look back.")
    ] = 60,
    filter_: FilterOption = "",
    once: Annotated[
        bool, typer.Option("--once", help="Print the numbers once; so it does when piped.")
    ] = False,
    output: OutputOption = Form.TABLE,
) -> None:
    """Watch the rate, the top actors and actions, and failures, until q or Ctrl-C.

    Examples:
    smart-audit top
    smart-audit top --minutes 10 -f 'action:document'
    smart-audit top --once -o json
    """
    where.require_known()
    if once or output is not Form.TABLE or not sys.stdout.isatty():
        show_one(asyncio.run(_snapshot(where, minutes, filter_)), _SHOWN, output)
        return
    asyncio.run(_watch(where, minutes, filter_))


async def _snapshot(where: Calling, minutes: int, wanted: str) -> dict[str, Any]:
    window = Window(minutes)
    async with where.connect(where.session()) as connection:
        await _begin(connection, window, minutes, wanted)
    shown = window.shown(time.time(), _TOP)
    return {
        "minutes": minutes,
        "total": shown.total,
        "per_minute": round(shown.total / minutes, 2),
        "failed": shown.failed,
        "rates": list(shown.rates),
        "actions": dict(shown.actions),
        "actors": dict(shown.actors),
        "failures": [row(one) for one in shown.failures],
    }


async def _watch(where: Calling, minutes: int, wanted: str) -> None:
    console, window = Console(highlight=False), Window(minutes)
    title = f"Smart Audit  {where.settings.address}  {wanted}".rstrip()
    unicode = console.encoding.startswith("utf")
    trouble: list[CallError] = []

    def picture() -> RenderableType:
        place = Place(title, console.width, console.height, unicode)
        now = time.time()
        return screen(window.shown(now, place.rows), place, now, str(*trouble[-1:]))

    async with where.connect(where.session(), on_trouble=trouble.append) as connection:
        following = asyncio.create_task(_follow(connection, window, minutes, wanted, trouble))
        quitting = asyncio.Event()
        waiting = [following, asyncio.create_task(quitting.wait())]
        try:
            with _keys(quitting), Live(picture(), console=console, screen=True) as live:
                while not any(one.done() for one in waiting):
                    await asyncio.wait(
                        waiting, timeout=_REFRESH_S, return_when=asyncio.FIRST_COMPLETED
                    )
                    live.update(picture(), refresh=True)
            if following.done():
                following.result()
        finally:
            for one in waiting:
                one.cancel()


async def _follow(
    connection: Connection, window: Window, minutes: int, wanted: str, trouble: list[CallError]
) -> None:
    """Count until the end. Raises: CallError when it cannot go on."""
    has_begun = False
    request = tail_pb2.TailEventsRequest(filter=wanted)
    async with aclosing(tail(connection, request, trouble.append)) as records:
        async for record in records:
            if not has_begun:
                # The stream has begun: what is recorded from here on comes by it.
                has_begun = True
                await _begin(connection, window, minutes, wanted)
            trouble.clear()
            for event in record.events.events:
                window.add(event)


async def _begin(connection: Connection, window: Window, minutes: int, wanted: str) -> None:
    """Fill the window with what the service has counted. Raises: CallError."""
    begin = int(time.time()) // MINUTE_S * MINUTE_S - (minutes - 1) * MINUTE_S
    occurred_from = timestamp(datetime.fromtimestamp(begin, UTC))

    async def by(field: str) -> analytics_pb2.AggregateEventsResponse:
        request = analytics_pb2.AggregateEventsRequest(
            filter=wanted,
            occurred_from=occurred_from,
            group_by=[field],
            bucket=analytics_pb2.TIME_BUCKET_MINUTE,
            top=_COUNTED,
        )
        return await connection.call(connection.analytics.AggregateEvents, request)

    failed = audit_pb2.ListEventsRequest(
        filter=f"({wanted}) {_FAILED}" if wanted else _FAILED,
        occurred_from=occurred_from,
        page_size=_COUNTED,
    )
    actions, actors, outcomes, failures = await asyncio.gather(
        by("action"),
        by("actor.id"),
        by("outcome"),
        connection.call(connection.events.ListEvents, failed),
    )
    window.start(actions, actors, outcomes, failures.events)


@contextmanager
def _keys(quitting: asyncio.Event) -> Iterator[None]:
    """Let q quit, if somebody can press it."""
    if not sys.stdin.isatty():
        yield
        return
    terminal, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(terminal)

    def pressed() -> None:
        if os.read(terminal, 1) in (b"q", b"Q", b""):
            quitting.set()

    tty.setcbreak(terminal)
    loop.add_reader(terminal, pressed)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
