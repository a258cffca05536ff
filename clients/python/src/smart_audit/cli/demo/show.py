"""How the demo looks: numbered steps with their times, and events in tables of 80 columns."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from smart_audit.api.audit.v1 import audit_pb2


class Steps:
    """The steps of the demo: a heading for each, and in the end how long each took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._taken_s: list[tuple[str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step."""
        self.console.print()
        self.console.print(f"{len(self._taken_s) + 1}. {title}", style="bold", markup=False)
        began = time.perf_counter()
        yield
        self._taken_s.append((title, time.perf_counter() - began))

    def tell(self, line: str) -> None:
        """A line of the step that is being shown; brackets in it are not markup."""
        self.console.print(Padding(Text(line), (0, 0, 0, 3), expand=False))

    def summary(self) -> None:
        """How long each step took, and all of them together."""
        table = _table("How long it took")
        table.add_column("step")
        table.add_column("seconds", justify="right")
        for title, taken_s in self._taken_s:
            table.add_row(title, f"{taken_s:.2f}")
        table.add_section()
        table.add_row("together", f"{sum(taken_s for _, taken_s in self._taken_s):.2f}")
        self.console.print()
        self.console.print(table)


def event_table(title: str, events: Iterable[audit_pb2.Event]) -> Table:
    """Events, a line each; what is too long for its column ends with an ellipsis."""
    table = _table(title)
    table.add_column("UTC", width=14)
    table.add_column("action", ratio=5, no_wrap=True, overflow="ellipsis")
    table.add_column("actor", ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column("outcome", ratio=4, no_wrap=True, overflow="ellipsis")
    for event in events:
        occurred = event.occurred_at.ToDatetime(UTC)
        table.add_row(
            occurred.strftime("%m-%d %H:%M:%S"),
            # As Text: brackets in data are not markup.
            Text(event.action),
            Text(event.actor.name or event.actor.id),
            Text(outcome_text(event)),
        )
    return table


def outcome_text(event: audit_pb2.Event) -> str:
    """As in "denied: AccessDenied"."""
    outcome = audit_pb2.Outcome.Name(event.outcome).removeprefix("OUTCOME_").lower()
    return f"{outcome}: {event.outcome_reason}" if event.outcome_reason else outcome


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="italic",
        box=box.SIMPLE_HEAD,
        expand=True,
        pad_edge=False,
    )
