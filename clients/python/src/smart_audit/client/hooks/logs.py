"""A handler of Python's logging, for programs that say in their logs what they audit.

log.info("invoice approved", extra={"audit": {"action": "invoice.approve", "actor": "u_1"}})
"""

import logging

from smart_audit.client.hooks.context import Acting, record_here
from smart_audit.client.recorder import Recorder

_OURS = ("smart_audit", "grpc")


class AuditHandler(logging.Handler):
    """Records log records that have `audit`: the fields of an event, as `Recorder.record` takes.

    Others are no audit events and pass by. The message goes along as metadata. actor: who acts when
    the log record does not say.
    """

    def __init__(self, recorder: Recorder, *, actor: Acting = None) -> None:
        super().__init__()
        self._recorder = recorder
        self._actor = actor

    def emit(self, record: logging.LogRecord) -> None:
        """Record a log record."""
        audit = getattr(record, "audit", None)
        # What we log of a failure to record must not be recorded.
        if audit is None or record.name.partition(".")[0] in _OURS:
            return
        try:
            fields = {**audit}
            said = {"message": record.getMessage(), "logger": record.name}
            fields["metadata"] = {**said, **(fields.get("metadata") or {})}
            record_here(
                self._recorder, fields.pop("action"), fields.pop("actor", self._actor), **fields
            )
        except Exception:  # noqa: BLE001  (as every handler)
            self.handleError(record)
