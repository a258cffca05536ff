"""JSON lines: the API's own events, one a line."""

from collections.abc import Sequence

from smart_audit.audit.domain import Recorded
from smart_audit.audit.formats.base import Proofs
from smart_audit.audit.formats.facts import event_json, json_lines, proof_json


class JsonLines:
    """Everything an event has; with its proof under `proof` when proofs are given."""

    content_type = "application/x-ndjson"
    file_extension = "jsonl"
    takes_proofs = True
    cuttable = True

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def lines(self, events: Sequence[Recorded], proofs: Proofs | None = None) -> bytes:
        """A line of each event."""
        made = [event_json(recorded) for recorded in events]
        if proofs is not None:
            for line, recorded, proof in zip(made, events, proofs, strict=True):
                line["proof"] = proof_json(recorded, proof)
        return json_lines(made)

    def end(self) -> bytes:
        """Nothing."""
        return b""
