"""Who acts now: told by the outermost, known to all that happens inside."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Unpack

from smart_audit.client.events import (
    MAX_ACTOR_ID,
    MAX_ACTOR_NAME,
    MAX_SOURCE_ADDRESS,
    MAX_USER_AGENT,
    Actor,
    EventFields,
    actor_of,
)
from smart_audit.client.recorder import Recorder

Acting = Actor | Callable[[], Actor | None] | None
"""Who acts, or what finds it out when somebody asks."""

UNKNOWN: Final[Actor] = {"id": "unknown", "type": "unknown"}
ANONYMOUS: Final[Actor] = {"id": "anonymous", "type": "anonymous"}

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

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
    fields.setdefault("source_address", fitting(here.source_address, MAX_SOURCE_ADDRESS))
    fields.setdefault("user_agent", fitting(here.user_agent, MAX_USER_AGENT))
    who = _found(actor) or _found(here.actor) or UNKNOWN
    recorder.record(action, _fitting_actor(who), **fields)


def fitting(text: str, most: int) -> str:
    """A text that a caller chose, as the service takes it: else he could choose to leave no trace.

    most: characters.
    """
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text[:most])


def _fitting_actor(actor: Actor) -> Actor:
    """An actor as the service takes it: names are chosen by people, too."""
    try:
        fitted = actor_of(actor)
    except (TypeError, ValueError):
        return actor  # `record` says what is wrong with it
    fitted.id = fitting(fitted.id, MAX_ACTOR_ID)
    fitted.name = fitted.name[:MAX_ACTOR_NAME]
    return fitted


def _found(actor: Acting) -> Actor | None:
    if not callable(actor):
        return actor
    try:
        return actor()
    except Exception as error:  # noqa: BLE001  (the program goes on)
        log.warning("who acts was not found out: %s", error)
        return None
