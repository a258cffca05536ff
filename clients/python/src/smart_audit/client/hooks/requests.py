"""What the middleware of all web frameworks has in common."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from smart_audit.client.events import MAX_TARGET_ID, Outcome
from smart_audit.client.hooks.context import ANONYMOUS, Acting, fitting, record_here
from smart_audit.client.recorder import Recorder

CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods whose requests are recorded unless others are named."""
_DENIED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class Handled:
    """A request that was answered. route: as the program declares it, e.g. "/documents/{id}"."""

    method: str
    path: str
    route: str
    status: int


Named = Callable[[Handled], str]
"""Gives the action of a request; empty for one that is not recorded."""


def by_method(handled: Handled) -> str:
    """The action "http.post" and the like."""
    return f"http.{handled.method.lower()}"


def record_request(recorder: Recorder, handled: Handled, actor: Acting, action: Named) -> None:
    """Record a request: its method, path and status, and neither query nor body."""
    named = ""
    with recorder.guarded():
        named = action(handled)
    if not named:
        return
    record_here(
        recorder,
        named,
        actor or ANONYMOUS,
        targets=[{"id": fitting(handled.path, MAX_TARGET_ID), "type": "path"}],
        outcome=_outcome(handled.status),
        outcome_reason=str(handled.status),
        metadata={"method": handled.method, "route": handled.route, "status": handled.status},
    )


def _outcome(status: int) -> Outcome:
    if status in _DENIED:
        return Outcome.DENIED
    return Outcome.SUCCESS if status < HTTPStatus.BAD_REQUEST else Outcome.FAILURE
