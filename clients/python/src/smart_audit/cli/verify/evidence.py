"""`smart-audit verify evidence`: a bundle of events, offline."""

from pathlib import Path
from typing import Annotated

import typer

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.terminal import notices, output, say
from smart_audit.cli.verify.inputs import require_keys
from smart_audit.client.evidence.check import check_bundle


def evidence(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The evidence bundle, a zip.")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="VKEY",
            help="A verifier key of the log, or of a witness too, as its owner publishes it. May "
            "be repeated. Without one the bundle's own keys are believed.",
        ),
    ] = None,
) -> None:
    """Verify an evidence bundle offline: every event, every proof, and what is said about them.

    The exit code is 6 when anything does not hold; stderr then names the place.

    Examples:
    smart-audit verify evidence evidence.zip --key log.example.com/0189…+3eebc019+AYqI…
    """
    keys = key or []
    if keys:
        require_keys(keys)
    try:
        report = check_bundle(path, keys)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror or error}", ExitCode.INVALID) from error
    if report.holds:
        for line in report.lines():
            say(output(), line)
        return
    for line in report.lines():
        say(notices(), line)
    raise Failure(f"verification failed: {path}", ExitCode.VERIFICATION_FAILED)
