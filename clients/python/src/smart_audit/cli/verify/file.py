"""`smart-audit verify file`: one event, offline."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.terminal import output, say
from smart_audit.cli.verify.facts import fact_lines, shown
from smart_audit.cli.verify.inputs import KeysOption, read_input, require_keys
from smart_audit.client.proof_file import MAX_SIZE, Proven, UnreadableError, check_file
from smart_audit.client.verification import VerificationError


def file(
    path: Annotated[
        Path,
        typer.Argument(
            help="A .tlog-proof; or the JSON answer of GetEvent with proof=true, of DiscloseEvent "
            'or of RecordEvent; "-" for stdin.'
        ),
    ],
    key: KeysOption,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="For a receipt of RecordEvent: the checkpoint that it leads to."),
    ] = None,
) -> None:
    """Verify one event offline: nothing is needed but the file and the log's key.

    Says what the file proves. The exit code is 6 when it does not hold, 5 when it is no such file.

    Examples:
    smart-audit verify file event.tlog-proof --key log.example.com/0189…+3eebc019+AYqI…
    """
    require_keys(key)
    note = None if checkpoint is None else read_input(checkpoint, MAX_SIZE)
    try:
        proven = check_file(read_input(path, MAX_SIZE), key, note)
    except UnreadableError as error:
        raise Failure(f"{path}: {error}", ExitCode.INVALID) from error
    except VerificationError as error:
        raise Failure(
            f"verification failed: {path}: {error}", ExitCode.VERIFICATION_FAILED
        ) from error
    lines = output()
    for line in _report(proven):
        say(lines, line)


def _report(proven: Proven) -> Iterator[str]:
    signed, opened = proven.checkpoint, proven.opened
    what = "the receipt's entry" if opened is None else opened.facts["action"]
    place = f"entry {proven.log_index} of {signed.size} in {signed.origin}"
    yield f"verified: {what} is {place}"
    yield ""
    yield f"leaf hash  {proven.leaf_hash.hex()}"
    yield f"root       {signed.root_text}"
    for key in signed.verifier_keys:
        yield f"signed     {key}"
    for one in signed.cosigned:
        yield f"cosigned   {one.at_text}  {one.verifier_key}"
    yield ""
    if opened is None:
        yield "Proven: an entry with this hash is at this place."
        yield "Not proven: which event it is; a receipt names its event but holds no leaf."
        return
    yield from fact_lines(opened)
    yield ""
    yield "Proven: the log holds an event with these facts at this place."
    if opened.withheld:
        yield f"Withheld: {_fields(opened.withheld)}, to which the leaf commits by digests."
    if proven.event is not None and proven.event.erased_fields:
        names = ", ".join(shown(name) for name in proven.event.erased_fields)
        yield f"Only said by the service: that of these were erased {names}."
    yield "Not proven: that what was recorded is true."


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"
