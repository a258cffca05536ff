"""How data is shown: a table for people, or JSON, JSON lines and CSV for programs.

A row is a JSON object as the API's own JSON has it. On a terminal a table fits its width; piped,
its lines are whole.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from typing import IO, Annotated, Any, Final

import typer

from smart_audit.cli.text import printable

Row = Mapping[str, Any]

_GAP: Final = "  "
_LEAST_WIDTH: Final = 8
# As in the service's export, whose code is not installed here: what makes a spreadsheet see a
# formula (OWASP, "CSV Injection"), in the widths of all keyboards; and the mark itself, so that
# taking one away from the front of any cell gives the value back.
_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠'")
_MARK: Final = "'"


class Form(StrEnum):
    """The form of the output."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


OutputOption = Annotated[
    Form,
    typer.Option("--output", "-o", help="A table for people; the others are for programs."),
]


def plain(value: Any) -> str:
    """A value as text."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list() if all(isinstance(one, str) for one in value):
            return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def time(value: Any) -> str:
    """A time to the second, in UTC."""
    return plain(value)[:19].replace("T", " ")


def word(value: Any) -> str:
    """OUTCOME_SUCCESS as success: what a person calls a value of an enumeration."""
    return plain(value).rpartition("_")[2].lower()


@dataclass(frozen=True, slots=True)
class Column:
    """A column: where its value is in a row, such as `actor.id`, and how a table shows it.

    title: the table's; by default the end of the path. spare: where a terminal is too narrow, it is
    left out, the last of them first.
    """

    path: str
    title: str = ""
    shown: Callable[[Any], str] = plain
    spare: bool = False

    @property
    def heading(self) -> str:
        """What stands above the column of a table."""
        return (self.title or self.path.rpartition(".")[2].replace("_", " ")).upper()

    def value(self, row: Row) -> Any:
        """What a row has there, None when it has nothing."""
        found: Any = row
        for name in self.path.split("."):
            if not isinstance(found, Mapping):
                return None
            found = found.get(name)
        return found

    def cell(self, row: Row) -> str:
        """What a table shows of a row."""
        return printable(self.shown(self.value(row)))


def show(rows: Iterable[Row], columns: Sequence[Column], form: Form) -> None:
    """Write rows to stdout. All but a table begin with the first row, before the last is there."""
    out = sys.stdout
    match form:
        case Form.TABLE:
            _table(list(rows), columns, out)
        case Form.JSON:
            _array(rows)
        case Form.JSONL:
            for row in rows:
                write_line(row)
        case Form.CSV:
            write_row = rows_of_csv(columns)
            for row in rows:
                write_row(row)


def show_one(row: Row, columns: Sequence[Column], form: Form) -> None:
    """Write one thing to stdout: as a table it has a line for each value."""
    match form:
        case Form.TABLE:
            width = max(len(column.heading) for column in columns)
            for column in columns:
                if cell := column.cell(row):
                    sys.stdout.write(f"{column.heading.lower():<{width}}{_GAP}{cell}\n")
        case Form.JSON:
            write(json.dumps(row, ensure_ascii=False, indent=2) + "\n")
        case _:
            show([row], columns, form)


def write_line(row: Row) -> None:
    """Write one line of JSON to stdout, at once."""
    write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def write(text: str) -> None:
    """Write to stdout what is for programs, as it is.

    On a terminal nothing in it moves the cursor or turns the writing; JSON says the same then.
    """
    if sys.stdout.isatty():
        text = "\n".join(map(printable, text.split("\n")))
    sys.stdout.write(text)


def rows_of_csv(columns: Sequence[Column]) -> Callable[[Row], None]:
    """Write the header of a table to stdout; gives what writes a row."""
    line = StringIO(newline="")
    # What is in the end of a line is quoted in cells as well: with \n alone a \r would not be.
    writer = csv.writer(line, lineterminator="\r\n")

    def write_cells(cells: Iterable[str]) -> None:
        writer.writerow(cells)
        write(line.getvalue().removesuffix("\r\n") + "\n")
        line.seek(0)
        line.truncate()

    write_cells(column.path for column in columns)
    return lambda row: write_cells(_cell_of_csv(column.value(row)) for column in columns)


def _array(rows: Iterable[Row]) -> None:
    comma = "["
    for row in rows:
        write(f"{comma}\n{json.dumps(row, ensure_ascii=False)}")
        comma = ","
    write("[]\n" if comma == "[" else "\n]\n")


def _cell_of_csv(value: Any) -> str:
    """A value for programs: true and false are JSON's, times are whole, no text is a formula."""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    text = plain(value)
    return _MARK + text if text.startswith(_FORMULA) else text


def _table(rows: Sequence[Row], columns: Sequence[Column], out: IO[str]) -> None:
    if not out.isatty():
        _lines(rows, columns, out)
        return
    from rich.console import Console  # noqa: PLC0415  (nobody waits for it who pipes)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    kept, widths = fitting(rows, columns, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, width in zip(kept, widths, strict=True):
        table.add_column(column.heading, no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        table.add_row(*(Text(column.cell(row)) for column in kept))
    console.print(table)


def fitting(
    rows: Sequence[Row], columns: Sequence[Column], width: int
) -> tuple[list[Column], list[int]]:
    """The columns that there is room for, and how wide each is; the widest give way."""
    kept = list(columns)
    wanted = {
        column.path: max([len(column.heading), *(len(column.cell(row)) for row in rows)])
        for column in columns
    }
    spare = [column for column in columns if column.spare]
    while spare and _room(wanted[one.path] for one in kept) > width:
        kept.remove(spare.pop())
    widths = [wanted[one.path] for one in kept]
    while _room(widths) > width and max(widths) > _LEAST_WIDTH:
        widths[widths.index(max(widths))] -= 1
    return kept, widths


def _room(widths: Iterable[int]) -> int:
    every = list(widths)
    return sum(every) + len(_GAP) * (len(every) - 1)


def _lines(rows: Sequence[Row], columns: Sequence[Column], out: IO[str]) -> None:
    """Whole values, one below the other: for `grep` and `less -S`."""
    cells = [[column.heading for column in columns]]
    cells += [[column.cell(row) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        out.write(_GAP.join(padded).rstrip() + "\n")
