"""`smart-audit events send`: record one event."""

import json
import sys
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import ParseDict, ParseError

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.cli.calling import Calls, calls
from smart_audit.cli.events.outcome import Outcome
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.messages import row
from smart_audit.cli.options import read_time
from smart_audit.cli.render import Column, Form, OutputOption, show_one
from smart_audit.client.events import new_event
from smart_audit.client.ids import uuid7

STDIN: Final = "-"
_RECEIPT: Final = [
    Column("event_id", "event"),
    Column("proof.log_index", "log index"),
    Column("proof.tree_size", "tree size"),
    Column("recorded_at"),
    Column("organisation_id", "organisation"),
]


@calls
def send(
    to: Calls,
    action: Annotated[
        str, typer.Argument(help="What was done, e.g. document.delete; - reads JSON from stdin.")
    ],
    *,
    actor: Annotated[str, typer.Option(metavar="ID", help="Who did it.")] = "",
    actor_type: Annotated[str, typer.Option(help="E.g. user or service.")] = "",
    actor_name: Annotated[str, typer.Option(help="Personal: kept apart from the log.")] = "",
    actor_email: Annotated[str, typer.Option(help="Personal: kept apart from the log.")] = "",
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="[TYPE:]ID", help="What it was done to; may be repeated."),
    ] = None,
    outcome: Annotated[Outcome, typer.Option(help="How it ended.")] = Outcome.SUCCESS,
    reason: Annotated[str, typer.Option(help="Why it ended so.")] = "",
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            "-m",
            metavar="NAME=VALUE",
            help="What else is known; JSON, or else text; may be repeated.",
        ),
    ] = None,
    source: Annotated[str, typer.Option(help="The system that tells it.")] = "",
    source_address: Annotated[str, typer.Option(help="Where the call came from.")] = "",
    occurred_at: Annotated[
        str, typer.Option(metavar="TIME", help="When, if not now: 2026-01-31T12:30:00Z.")
    ] = "",
    id_: Annotated[
        str,
        typer.Option("--id", metavar="UUID", help="An id of yours: sent twice it is one event."),
    ] = "",
    output: OutputOption = Form.TABLE,
) -> None:
    """Record one event; when this returns it is durable, in the log and provable.

    Examples:
    smart-audit events send document.delete --actor u_1 --target document:d_1
    smart-audit events send login --actor u_2 --outcome denied --reason "wrong password"
    smart-audit events send report.export --actor u_1 -m rows=1200 -m 'to=["a@b.example"]'
    echo '{"action": "door.open", "actor": {"id": "u_1"}}' | smart-audit events send -
    """
    if action == STDIN:
        event = _read()
    else:
        if not actor:
            raise Failure("--actor is missing: who did it?", ExitCode.USAGE)
        event = new_event(
            action,
            audit_pb2.Actor(id=actor, type=actor_type, name=actor_name, email=actor_email),
            targets=[_target(one) for one in target or ()],
            outcome=outcome.value,
            outcome_reason=reason,
            metadata=dict(map(_pair, metadata or ())),
            occurred_at=_moment(occurred_at),
            source=source,
            source_address=source_address,
            id=id_,
        )
    request = audit_pb2.RecordEventRequest(event=event)
    show_one(row(to.call(to.services.events.RecordEvent, request).receipt), _RECEIPT, output)


def _read() -> audit_pb2.Event:
    """An event as the API writes it, of which only action and actor are needed."""
    try:
        event: audit_pb2.Event = ParseDict(json.loads(sys.stdin.read()), audit_pb2.Event())
    except (ValueError, ParseError) as error:
        raise Failure(f"stdin is no event: {error}", ExitCode.INVALID) from error
    event.id = event.id or uuid7()
    event.outcome = event.outcome or audit_pb2.OUTCOME_SUCCESS
    if not event.HasField("occurred_at"):
        event.occurred_at.GetCurrentTime()
    return event


def _moment(text: str) -> datetime | None:
    return read_time(text, "--occurred-at") if text else None


def _target(text: str) -> audit_pb2.Target:
    kind, colon, target_id = text.partition(":")
    return audit_pb2.Target(type=kind, id=target_id) if colon else audit_pb2.Target(id=text)


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Failure(f"--metadata: {text!r} is not NAME=VALUE", ExitCode.USAGE)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
