"""`smart-audit log checkpoint`, `proof` and `witness`: what the log hands out to be kept."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.cli.calling import Calls, calls
from smart_audit.cli.events.find import find
from smart_audit.cli.messages import row, rows
from smart_audit.cli.options import QuietOption
from smart_audit.cli.render import Column, Form, OutputOption, show, show_one, time, write
from smart_audit.cli.text import tell
from smart_audit.client import private_files

_CHECKPOINT: Final = [
    Column("origin", "log"),
    Column("tree_size", "entries"),
    Column("root_hash", "root"),
    Column("signed_at", "signed", shown=time),
    Column("verifier_key", "key"),
]
_WITNESSES: Final = [Column("witness"), Column("cosigned_at", "cosigned", shown=time)]

OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="The file to write; else stdout.")
]


@calls
def checkpoint(
    to: Calls,
    *,
    note: Annotated[
        bool,
        typer.Option("--note", help="The signed note alone, as `log verify --since` takes it."),
    ] = False,
    cosigned: Annotated[
        bool, typer.Option("--cosigned", help="The latest that witnesses have cosigned.")
    ] = False,
    output: OutputOption = Form.TABLE,
) -> None:
    """Show the log's checkpoint: how large it is, its root, and who signed that.

    Keep the note elsewhere: a log that is rolled back or rewritten cannot extend it any more.

    Examples:
    smart-audit log checkpoint
    smart-audit log checkpoint --note > checkpoint.txt
    """
    answer = _checkpoint(to, cosigned=cosigned)
    if note:
        write(answer.note)
    else:
        show_one(row(answer), _CHECKPOINT, output)


@calls
def proof(
    to: Calls,
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="The event's id, or its index in the log.")
    ],
    *,
    out: OutOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write an event's proof as a file (C2SP tlog-proof), which `verify file` checks offline.

    Examples:
    smart-audit log proof 17 --out event.tlog-proof
    smart-audit log proof 01890a5d-ac96-7ab2-80e2-000000000001 > event.tlog-proof
    """
    request = audit_pb2.GetEventProofRequest(event_id=find(to, event).id)
    text = to.call(to.services.events.GetEventProof, request).data.decode()
    if out is None:
        write(text)
    else:
        # It holds what the event discloses.
        private_files.write(out, text)
        tell(f"wrote {out}", quiet=quiet)


@calls
def witness(to: Calls, *, output: OutputOption = Form.TABLE) -> None:
    """List the witnesses who have cosigned the log, and when.

    Examples:
    smart-audit log witness
    """
    answer = _checkpoint(to, cosigned=True)
    show(rows(answer.cosignatures), _WITNESSES, output)


def _checkpoint(to: Calls, *, cosigned: bool) -> Any:
    request = audit_pb2.GetCheckpointRequest(cosigned=cosigned)
    return to.call(to.services.log.GetCheckpoint, request)
