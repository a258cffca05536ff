"""The vocabulary of audit events, as texts beside this file."""

from collections.abc import Iterator
from importlib.resources import files


def lines(name: str) -> Iterator[str]:
    """The lines of a text that are neither empty nor comments."""
    text = files(__name__).joinpath(name).read_text("utf-8")
    return (line for line in map(str.strip, text.splitlines()) if line and line[0] != "#")
