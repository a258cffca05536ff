"""Where output goes: data to stdout, everything else to stderr; NO_COLOR is rich's own affair."""

import os
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from smart_audit.cli.text import printable, repeated
from smart_audit.client.errors import CallError


def output() -> Console:
    """The console of data. What is piped keeps its lines whole: nothing wraps them."""
    return Console(highlight=False)


def notices() -> Console:
    """The console of progress and complaints."""
    return Console(stderr=True, highlight=False)


def say(console: Console, line: str) -> None:
    """Print a line that is data: brackets in it are not markup, and nothing cuts it."""
    console.print("\n".join(map(printable, line.split("\n"))), markup=False, soft_wrap=True)


def command() -> str:
    """How a person types this command: by name, or by path when it is not on PATH."""
    if shutil.which("smart-audit"):
        return "smart-audit"
    script = Path(sys.executable).with_name("smart-audit")
    return os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)


def progress(console: Console, *, counted: bool = True) -> Progress:
    """A bar that leaves nothing behind; silent when stderr is no terminal.

    counted: show done and total as numbers.
    """
    columns = [TextColumn("{task.description}"), BarColumn()]
    if counted:
        columns.append(MofNCompleteColumn())
    return Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def tell_trouble(console: Console, retry_for_s: float, error: CallError) -> None:
    """Say that a call is being repeated, and for how long."""
    say(console, repeated(error, retry_for_s))
