"""What `top` looks like: made for 80 columns and 24 lines, and for what is larger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.cli.events.live import STYLES
from smart_audit.cli.render import word
from smart_audit.cli.text import printable
from smart_audit.cli.top.window import Shown

_BARS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = " .:-=+*#@"
# Header, numbers, the line of rates, two rules and the last line; two more are left for air.
_FRAME_LINES: Final = 8
_LEAST_ROWS: Final = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is shown, and of what. columns, lines: of the terminal."""

    title: str
    columns: int
    lines: int
    unicode: bool = True

    @property
    def rows(self) -> int:
        """Rows of each list."""
        return max(_LEAST_ROWS, (self.lines - _FRAME_LINES) // 2)


def screen(shown: Shown, place: Place, now: float, trouble: str) -> RenderableType:
    """The whole screen."""
    rows = place.rows
    return Group(
        _header(place, now),
        _numbers(shown),
        Text(_bars(shown.rates, place), style="cyan", no_wrap=True),
        _lists(shown, place, rows),
        Rule("failures", style="dim", align="left"),
        *_padded([_failure(one, place.columns) for one in shown.failures[:rows]], rows),
        _footer(trouble),
    )


def _header(place: Place, now: float) -> RenderableType:
    header = Table.grid(expand=True)
    header.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    header.add_column(justify="right", no_wrap=True)
    header.add_row(
        Text(f" {printable(place.title)}"), f"{datetime.fromtimestamp(now, UTC):%H:%M:%S} UTC "
    )
    header.style = "reverse"
    return header


def _numbers(shown: Shown) -> Text:
    minutes = len(shown.rates)
    share = 100 * shown.failed / shown.total if shown.total else 0
    text = Text(" ", no_wrap=True, overflow="ellipsis")
    text.append(f"{shown.total / minutes:.1f}", style="bold")
    text.append("/min   ")
    text.append(f"{shown.rates[-1]}", style="bold")
    text.append(" this minute   ")
    text.append(f"{shown.total}", style="bold")
    text.append(f" in {minutes} minutes   ")
    text.append(f"{shown.failed}", style="bold red" if shown.failed else "bold")
    text.append(f" failed or denied ({share:.1f} %)")
    return text


def _bars(rates: Sequence[int], place: Place) -> str:
    """A bar for each minute; as many as fit, the latest at the right."""
    bars = _BARS if place.unicode else _ASCII_BARS
    most = max(rates) or 1
    fitting = rates[-max(1, place.columns - 2) :]
    steps = len(bars) - 1
    return " " + "".join(bars[-(-rate * steps // most)] for rate in fitting)


def _lists(shown: Shown, place: Place, rows: int) -> RenderableType:
    half = (place.columns - 2) // 2
    lists = Table.grid(padding=(0, 2, 0, 0))
    lists.add_column(width=half, no_wrap=True)
    lists.add_column(width=place.columns - half - 2, no_wrap=True)
    lists.add_row(
        Rule("actions", style="dim", align="left"), Rule("actors", style="dim", align="left")
    )
    left = _padded([_ranked(one, shown.actions, half) for one in shown.actions[:rows]], rows)
    right = _padded([_ranked(one, shown.actors, half) for one in shown.actors[:rows]], rows)
    for pair in zip(left, right, strict=True):
        lists.add_row(*pair)
    return lists


def _ranked(one: tuple[str, int], ranked: Sequence[tuple[str, int]], width: int) -> Text:
    value, count = one
    bar = max(1, round(8 * count / ranked[0][1]))
    name = Text(f" {printable(value) or '(none)'}")
    name.truncate(width - 17, overflow="ellipsis", pad=True)
    name.append(f" {count:>6} ", style="bold")
    name.append("━" * bar, style="cyan")
    return name


def _failure(event: audit_pb2.Event, columns: int) -> Text:
    outcome = word(audit_pb2.Outcome.Name(event.outcome))
    text = Text(f" {event.occurred_at.ToDatetime(UTC):%H:%M:%S} ", style="dim", no_wrap=True)
    text.append(f"{outcome:<7} ", style=STYLES.get(outcome, ""))
    text.append(f"{printable(event.action)} ", style="bold")
    text.append(printable(f"{event.actor.id} {event.outcome_reason}"))
    text.truncate(columns, overflow="ellipsis")
    return text


def _footer(trouble: str) -> Text:
    if trouble:
        return Text(f" trying again: {printable(trouble)}", style="red", no_wrap=True)
    return Text(" q quits", style="dim", no_wrap=True)


def _padded(lines: Sequence[Text], rows: int) -> list[Text]:
    return [*lines, *[Text("")] * (rows - len(lines))]
