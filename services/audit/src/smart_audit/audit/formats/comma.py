"""CSV by RFC 4180: a table for spreadsheets, which take what they are given for formulas."""

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Final

from smart_audit.audit.domain import Recorded
from smart_audit.audit.formats.base import Proofs
from smart_audit.audit.formats.facts import json_text, targets_json
from smart_audit.audit.leaves import time_text

# The order is part of the format: new columns come at the end.
HEADER: Final = (
    "log_index",
    "id",
    "organisation_id",
    "occurred_at",
    "recorded_at",
    "recorded_by",
    "action",
    "outcome",
    "outcome_reason",
    "actor_type",
    "actor_id",
    "actor_name",
    "actor_email",
    "target_type",
    "target_id",
    "target_name",
    "targets",
    "source",
    "source_address",
    "user_agent",
    "metadata",
    "erased_fields",
)

# What makes a spreadsheet see a formula (OWASP, "CSV Injection"), in the widths of all keyboards;
# and the mark itself, so that taking one away from the front of any cell gives the value back.
_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠'")
_MARK: Final = "'"


class CommaSeparated:
    """A row of each event. `target_*` are the first target's, `targets` has all as JSON."""

    content_type = "text/csv; charset=utf-8; header=present"
    file_extension = "csv"
    takes_proofs = False
    cuttable = True

    def begin(self) -> bytes:
        """The header."""
        return _rows([HEADER])

    def lines(self, events: Sequence[Recorded], proofs: Proofs | None = None) -> bytes:
        """A row of each event."""
        return _rows([[_safe(cell) for cell in _cells(recorded)] for recorded in events])

    def end(self) -> bytes:
        """Nothing."""
        return b""


def _cells(recorded: Recorded) -> tuple[str, ...]:
    event = recorded.event
    kind, id_, name = "", "", ""
    if event.targets:
        first = event.targets[0]
        kind, id_, name = first.type, first.id, first.name
    return (
        str(recorded.log_index),
        str(event.id),
        str(event.organisation_id),
        time_text(event.occurred_at),
        time_text(recorded.recorded_at),
        recorded.recorded_by,
        event.action,
        event.outcome.name,
        event.outcome_reason,
        event.actor.type,
        event.actor.id,
        event.actor.name,
        event.actor.email,
        kind,
        id_,
        name,
        json_text(targets_json(event)),
        event.source,
        event.source_address,
        event.user_agent,
        json_text(event.metadata),
        " ".join(recorded.erased),
    )


def _safe(cell: str) -> str:
    return _MARK + cell if cell.startswith(_FORMULA) else cell


def _rows(rows: Sequence[Sequence[str]]) -> bytes:
    made = StringIO(newline="")
    csv.writer(made, lineterminator="\r\n").writerows(rows)
    return made.getvalue().encode()
