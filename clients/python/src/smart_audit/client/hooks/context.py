"""Who acts now: told by the outermost, known to all that happens inside."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Unpack

from smart_audit.client.events import Actor, EventFields
from smart_audit.client.recorder import Recorder

Acting = Actor | Callable[[], Actor | None] | None
"""Who acts, or what finds it out when somebody asks."""

UNKNOWN: Final[Actor] = {"id": "unknown", "type": "unknown"}
ANONYMOUS: Final[Actor] = {"id": "anonymous", "type": "anonymous"}

log = logging.getLogger("smart_audit.hooks")


@dataclass(frozen=True, slots=True)
class _Context:
    actor: Acting = None
    source_address: str = ""
    user_agent: str = ""


_NOBODY: Final = _Context()
_current: ContextVar[_Context] = ContextVar("smart_audit_context", default=_NOBODY)


@contextmanager
def acting_as(actor: Acting, *, source_address: str = "", user_agent: str = "") -> Iterator[None]:
    """Whatever is recorded inside by a hook was done by this actor, unless it says otherwise."""
    token = _current.set(_Context(actor, source_address, user_agent))
    try:
        yield
    finally:
        _current.reset(token)


def record_here(
    recorder: Recorder, action: str, actor: Acting = None, **fields: Unpack[EventFields]
) -> None:
    """Record what happens here and now, by who acts here. Never raises."""
    here = _current.get()
    fields.setdefault("source_address", here.source_address)
    fields.setdefault("user_agent", here.user_agent)
    recorder.record(action, _found(actor) or _found(here.actor) or UNKNOWN, **fields)


def _found(actor: Acting) -> Actor | None:
    if not callable(actor):
        return actor
    try:
        return actor()
    except Exception as error:  # noqa: BLE001  (the program goes on)
        log.warning("who acts was not found out: %s", error)
        return None
