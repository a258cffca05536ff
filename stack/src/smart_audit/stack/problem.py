"""The one error that reaches the person at the terminal."""

from pathlib import Path

_TAIL_BYTES = 8192
_LINE_CHARACTERS = 400


class Problem(Exception):
    """One sentence: what is wrong and how to mend it. Shown without a traceback, exit code 1."""


def last_line(log: Path) -> str:
    """Return the last line of a log that says something, or "" when there is none.

    Cut at 400 characters, because it becomes part of one sentence.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1][:_LINE_CHARACTERS] if spoken else ""
