"""Reading what a person gives to a check."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.client.keys import Keys
from smart_audit.tlog.note import NoteError

STDIN: Final = Path("-")

KeysOption = Annotated[
    list[str],
    typer.Option(
        "--key",
        metavar="VKEY",
        help="A verifier key, as its owner publishes it: of the log, or of a witness too. "
        "May be repeated; each key must have signed.",
    ),
]


def read_input(path: Path, most: int) -> bytes:
    """A file's content, or that of stdin for "-".

    most: bytes; a longer one is cut off behind the next byte, so that it shows.

    Raises: Failure when it cannot be read.
    """
    try:
        if path == STDIN:
            return sys.stdin.buffer.read(most + 1)
        with path.open("rb") as opened:
            return opened.read(most + 1)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror or error}", ExitCode.INVALID) from error


def require_keys(texts: Sequence[str]) -> None:
    """Refuse what is no verifier key.

    Raises: Failure.
    """
    try:
        Keys.parse(texts)
    except NoteError as error:
        raise Failure(f"--key: {error}", ExitCode.USAGE) from error
