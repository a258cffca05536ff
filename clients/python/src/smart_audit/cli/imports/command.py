"""`smart-audit import cloudtrail`."""

import functools
from typing import Annotated

import typer
from rich.console import Console

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.cli.failures import ExitCode, Failure, explained
from smart_audit.cli.imports.importer import Importer, Tally
from smart_audit.cli.imports.lines import opened, records
from smart_audit.cli.options import (
    DEFAULT_ADDRESS,
    AddressOption,
    TokenFileOption,
    read_address,
    read_session,
)
from smart_audit.cli.terminal import notices, output, progress, say, tell_trouble
from smart_audit.client.blocking import BlockingConnection
from smart_audit.client.errors import CallError


def app() -> typer.Typer:
    """The group of commands, one for each kind of file."""
    group = typer.Typer(help="Record what other systems have logged.", no_args_is_help=True)
    # Without a callback typer would take the only command for the group itself.
    group.callback()(_group)
    group.command("cloudtrail")(cloudtrail)
    return group


def _group() -> None:
    """Record what other systems have logged."""


def cloudtrail(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="CloudTrail records, one a line; - is stdin."),
    ],
    address: AddressOption = DEFAULT_ADDRESS,
    token_file: TokenFileOption = None,
    retry_for: Annotated[
        float, typer.Option(min=0, help="Seconds to keep trying while the service is away.")
    ] = 60,
) -> None:
    """Import AWS CloudTrail records, plain or gzipped.

    Importing a file again adds only what is missing: records are known by their ids. Lines that
    cannot be recorded are named and skipped; the exit code is then 5.
    """
    console = notices()
    with BlockingConnection(
        read_address(address),
        read_session(token_file),
        retry_for_s=retry_for,
        on_trouble=functools.partial(tell_trouble, console, retry_for),
    ) as connection:
        tally = import_file(file, connection, console)
    say(output(), str(tally))
    if tally.skipped:
        raise typer.Exit(ExitCode.INVALID)


def import_file(file: str, connection: BlockingConnection, console: Console) -> Tally:
    """Import a file, with a progress bar on the console.

    Raises: Failure when the service stays away or refuses a whole batch; CallError, OSError.
    """
    checkpoint = connection.call(connection.log.GetCheckpoint, audit_pb2.GetCheckpointRequest())
    with opened(file) as source, progress(console, counted=False) as bar:
        task = bar.add_task("importing", total=source.size)
        importer = Importer(
            send=functools.partial(connection.call, connection.events.RecordEvents),
            log_size=checkpoint.tree_size,
            complain=lambda place, why: say(console, f"{place}: {why}"),
            on_batch=lambda: bar.update(task, completed=source.position()),
        )
        try:
            importer.run(records(source.lines))
        except CallError as error:
            raise _stopped(error, importer.tally) from error
    return importer.tally


def _stopped(error: CallError, tally: Tally) -> Failure:
    failure = explained(error)
    code = failure.code if failure else ExitCode.GENERIC
    sentence = f"{failure or error}; so far {tally}; importing again adds only what is missing"
    return Failure(sentence, code)
