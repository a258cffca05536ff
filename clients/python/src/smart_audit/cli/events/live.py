"""Events on a terminal as they come: a line each, which stays, and below them how it goes."""

import time
from collections import deque
from types import TracebackType
from typing import Final, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from smart_audit.cli.events.columns import EVENTS
from smart_audit.cli.render import Column, Row
from smart_audit.cli.text import printable
from smart_audit.client.errors import CallError

STYLES: Final = {"success": "green", "failure": "red", "denied": "yellow"}
_WINDOW_S: Final = 60.0
_BY_PATH: Final = {column.path: column for column in EVENTS}


class LiveView:
    """Lines that stay, above a line that changes."""

    def __init__(self, address: str, wanted: str) -> None:
        self._place = printable(f"{address}  {wanted}".rstrip())
        self._times: deque[float] = deque()
        self._shown = 0
        self._trouble = ""
        self._console = Console(highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._status,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, event: Row) -> None:
        """Show an event above the status."""
        self._shown += 1
        self._trouble = ""
        self._times.append(time.monotonic())
        self._console.print(line(event, self._console.width), no_wrap=True, overflow="ellipsis")

    def trouble(self, error: CallError) -> None:
        """Say in the status that it is tried again."""
        self._trouble = printable(str(error))

    def _status(self) -> RenderableType:
        now = time.monotonic()
        while self._times and self._times[0] < now - _WINDOW_S:
            self._times.popleft()
        left = Text(f" {self._place}", no_wrap=True, overflow="ellipsis")
        if self._trouble:
            left = Text(f" trying again: {self._trouble}", style="red", no_wrap=True)
        right = f"{self._shown} shown, {len(self._times)} in the last minute; Ctrl-C ends "
        status = Table.grid(expand=True)
        status.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        status.add_column(justify="right", no_wrap=True)
        status.add_row(left, right)
        status.style = "reverse"
        return status


def line(event: Row, width: int) -> Text:
    """An event in one line: time, outcome, action, actor, targets; the width is shared out."""
    action = max(16, min(36, width // 3))
    actor = max(10, min(28, width // 5))
    outcome = _cell("outcome", event)
    text = Text(_cell("occurred_at", event)[11:], style="dim")
    text.append(f" {outcome:<7} ", style=STYLES.get(outcome, ""))
    text.append(_fit(_cell("action", event), action), style="bold")
    text.append(" ")
    text.append(_fit(_cell("actor.id", event), actor))
    text.append(f" {_cell('targets', event)}", style="dim")
    return text


def _cell(path: str, event: Row) -> str:
    column: Column = _BY_PATH[path]
    return column.cell(event)


def _fit(text: str, width: int) -> str:
    fitted = Text(text)
    fitted.truncate(width, overflow="ellipsis", pad=True)
    return fitted.plain
