"""`smart-audit events import`: one command for each kind of file, all of one shape."""

import functools
import json
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.json_format import MessageToDict
from rich.console import Console

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.cli.calling import Calling, calling
from smart_audit.cli.failures import ExitCode, Failure, explained
from smart_audit.cli.imports.describing import Described, check
from smart_audit.cli.imports.importer import Importer, Mapped, Tally
from smart_audit.cli.imports.kinds import (
    CLOUDTRAIL,
    OCSF,
    Kind,
    cloudevents_kind,
    jsonl_kind,
    read_mapping,
)
from smart_audit.cli.imports.lines import opened, records
from smart_audit.cli.terminal import notices, output, progress, say, tell_trouble
from smart_audit.client.blocking import BlockingConnection
from smart_audit.client.errors import CallError

_SHOWN: Final = 10

FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="The records, one a line; - is stdin.")
]
RetryOption = Annotated[
    float, typer.Option(min=0, help="Seconds to keep trying while the service is away.")
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help=f"Read all, record nothing; show the first {_SHOWN} events as JSON."
    ),
]
DescribeOption = Annotated[
    bool,
    typer.Option(
        "--describe",
        help="Register what the operations mean, as botocore documents them, for the search.",
    ),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=PATH",
        help="Where the record has a field of the event, e.g. actor.id=user.id; may be repeated.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="What a field is where the record has none, e.g. source=billing; may be repeated.",
    ),
]
OutcomeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--outcome",
        metavar="VALUE=OUTCOME",
        help="What a value of the outcome means: success, failure or denied; may be repeated.",
    ),
]
ZoneOption = Annotated[
    str, typer.Option(metavar="NAME", help="The zone of times that name none, e.g. UTC.")
]
MappingOption = Annotated[
    Path | None,
    typer.Option(
        "--mapping",
        metavar="TOML",
        help="A file with the tables map, set and outcome; the options go before it.",
    ),
]


@calling
def cloudtrail(
    where: Calling,
    file: FileArgument,
    retry_for: RetryOption = 60,
    dry_run: DryRunOption = False,  # noqa: FBT002  (typer's form of an option)
    describe: DescribeOption = False,  # noqa: FBT002
) -> None:
    """Import AWS CloudTrail records, plain or gzipped; a line may be a whole CloudTrail file.

    Examples:
    smart-audit events import cloudtrail records.jsonl.gz
    smart-audit events import cloudtrail records.jsonl --describe
    """
    if not describe:
        _run(where, CLOUDTRAIL, file, retry_for, dry_run=dry_run)
        return
    check()
    described = Described()
    kind = Kind(described.to_event, CLOUDTRAIL.unpack, finish=described.register)
    _run(where, kind, file, retry_for, dry_run=dry_run)


@calling
def ocsf(
    where: Calling,
    file: FileArgument,
    retry_for: RetryOption = 60,
    dry_run: DryRunOption = False,  # noqa: FBT002
) -> None:
    """Import events of OCSF 1.x, plain or gzipped; a line is one event or an array of them.

    Examples:
    smart-audit events import ocsf events.jsonl
    smart-audit events import ocsf events.jsonl --dry-run
    """
    _run(where, OCSF, file, retry_for, dry_run=dry_run)


@calling
def cloudevents(
    where: Calling,
    file: FileArgument,
    map_: MapOption = None,
    set_: SetOption = None,
    outcome: OutcomeOption = None,
    timezone: ZoneOption = "",
    mapping: MappingOption = None,
    retry_for: RetryOption = 60,
    dry_run: DryRunOption = False,  # noqa: FBT002
) -> None:
    """Import CloudEvents 1.0 in JSON, plain or gzipped; a line is one event or an array of them.

    The type is the action, the subject the target, and who did it is taken from the extension
    authcontext. Options say where else a field is.

    Examples:
    smart-audit events import cloudevents - < events.jsonl
    smart-audit events import cloudevents events.jsonl --map actor.id=data.user.id
    """
    said = read_mapping(map_ or (), set_ or (), outcome or (), timezone, mapping)
    _run(where, cloudevents_kind(said), file, retry_for, dry_run=dry_run)


@calling
def jsonl(
    where: Calling,
    file: FileArgument,
    map_: MapOption = None,
    set_: SetOption = None,
    outcome: OutcomeOption = None,
    timezone: ZoneOption = "",
    mapping: MappingOption = None,
    retry_for: RetryOption = 60,
    dry_run: DryRunOption = False,  # noqa: FBT002
) -> None:
    """Import JSON lines, plain or gzipped; a line is one record or an array of them.

    Without a mapping they are events as the API and its exports write them. With one, what no
    field carries stays in the metadata.

    Examples:
    smart-audit events import jsonl events.jsonl
    smart-audit events import jsonl app.log --mapping app.toml
    smart-audit events import jsonl app.log --map action=event --map actor.id=user --set source=app
    """
    said = read_mapping(map_ or (), set_ or (), outcome or (), timezone, mapping)
    _run(where, jsonl_kind(said), file, retry_for, dry_run=dry_run)


def _run(where: Calling, kind: Kind, file: str, retry_for: float, *, dry_run: bool) -> None:
    console = notices()
    if dry_run:
        skipped = _show(file, kind, console)
    else:
        where.require_known()
        with where.blocking(
            where.session(),
            retry_for_s=retry_for,
            on_trouble=functools.partial(tell_trouble, console, retry_for),
        ) as connection:
            tally = import_file(file, kind, connection, console)
            if kind.finish is not None:
                say(console, f"{kind.finish(connection)} kinds of event are described")
        say(output(), str(tally))
        skipped = tally.skipped
    if skipped:
        raise typer.Exit(ExitCode.INVALID)


def import_file(file: str, kind: Kind, connection: BlockingConnection, console: Console) -> Tally:
    """Import a file, with a progress bar on the console.

    Raises: Failure when the service stays away or refuses a whole batch; CallError, OSError.
    """
    checkpoint = connection.call(connection.log.GetCheckpoint, audit_pb2.GetCheckpointRequest())
    with opened(file) as source, progress(console, counted=False) as bar:
        task = bar.add_task("importing", total=source.size)
        importer = Importer(
            send=functools.partial(connection.call, connection.events.RecordEvents),
            log_size=checkpoint.tree_size,
            mapped=_mapped(kind, console),
            on_batch=lambda: bar.update(task, completed=source.position()),
        )
        try:
            importer.run(records(source.lines, kind.unpack))
        except CallError as error:
            raise _stopped(error, importer.tally) from error
    return importer.tally


def _show(file: str, kind: Kind, console: Console) -> int:
    """Read all without a service, print the first events; gives how many records make no event."""
    mapped = _mapped(kind, console)
    lines = output()
    with opened(file) as source:
        for number, (_, event) in enumerate(mapped.events(records(source.lines, kind.unpack))):
            if number < _SHOWN:
                shown = MessageToDict(event, preserving_proto_field_name=True)
                say(lines, json.dumps(shown, ensure_ascii=False))
    tally = mapped.tally
    good = tally.read - tally.skipped
    say(console, f"{tally.read} read, {good} would be sent, {tally.skipped} skipped")
    return tally.skipped


def _mapped(kind: Kind, console: Console) -> Mapped:
    return Mapped(kind.to_event, lambda place, why: say(console, f"{place}: {why}"))


def _stopped(error: CallError, tally: Tally) -> Failure:
    failure = explained(error)
    code = failure.code if failure else ExitCode.GENERIC
    sentence = f"{failure or error}; so far {tally}; importing again adds only what is missing"
    return Failure(sentence, code)
