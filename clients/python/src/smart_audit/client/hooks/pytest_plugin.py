"""A fixture for tests of programs that record: `audit_events`, found by pytest by itself."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from smart_audit.api.audit.v1 import audit_pb2

    Events = list[audit_pb2.Event]
else:
    Events = list


class AuditEvents(Events):
    """What was recorded, in its order."""

    @property
    def actions(self) -> list[str]:
        """What was done."""
        return [event.action for event in self]


@pytest.fixture
def audit_events(monkeypatch: pytest.MonkeyPatch) -> AuditEvents:
    """What recorders take in during the test; nothing is sent or written anywhere.

    What makes no event raises here, where a test can see it.
    """
    # pytest loads this in every run, and before the program can prepare what gRPC needs.
    from smart_audit.client.events import new_event  # noqa: PLC0415
    from smart_audit.client.recorder import Recorder  # noqa: PLC0415

    events = AuditEvents()

    def record(_recorder: Recorder, action: str, actor: Any, **fields: Any) -> None:
        events.append(new_event(action, actor, **fields))

    monkeypatch.setattr(Recorder, "record", record)
    monkeypatch.setattr(Recorder, "send", lambda _recorder, event: events.append(event))
    return events
