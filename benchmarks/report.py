"""The table for people and bench.json for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Figure, Result

PIPE_WIDTH = 120  # characters, where no terminal says how wide it is


def print_table(results: Sequence[Result], machine: Mapping[str, object]) -> None:
    """Print all lines."""
    table = Table(caption=_caption(machine))
    table.add_column("line")
    for name in ("ours", "limit", "ratio"):
        table.add_column(name, justify="right")
    for name in ("unit", "rounds", "what the limit is"):
        table.add_column(name)
    for one in results:
        table.add_row(
            one.name,
            _cell(one.ours),
            _cell(one.limit),
            f"{one.ratio:.2f}",
            one.unit,
            str(one.rounds),
            one.limit_name,
        )
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)


def write_json(results: Sequence[Result], machine: Mapping[str, object], path: Path) -> None:
    """Write all lines and the machine."""
    content = {"machine": machine, "lines": [asdict(one) for one in results]}
    path.write_text(json.dumps(content, indent=2) + "\n")


def _cell(figure: Figure) -> str:
    """The median, and under it the lowest and the highest round."""
    return f"{figure.median:,.0f}\n[dim]{figure.min:,.0f}–{figure.max:,.0f}[/dim]"


def _caption(machine: Mapping[str, object]) -> str:
    return (
        f"medians, lowest–highest below; {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"fsync {machine['fsync_ms']} ms, load {machine['load']} before the start"
    )
