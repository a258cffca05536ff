"""What the running call knows about itself."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from smart_audit.core.tokens import Caller, TokenMissing

if TYPE_CHECKING:
    import grpc.aio

MAX_ADDRESS = 64
MAX_USER_AGENT = 1024


@dataclass(slots=True)
class Read:
    """What a call has read. Reads of the same `what` and `target` are equal."""

    what: dict[str, str] = field(default_factory=dict)
    """What was asked for, by the names of the request's fields; no empty ones."""
    target: tuple[str, str] | None = None
    """Type and id of the one thing that was read, if it was one."""
    results: int | None = None
    """How many things were found; None when it is not known."""


@dataclass(slots=True)
class Call:
    """One call. One variable holds it all, since each variable costs each call."""

    request_id: str
    metadata: Mapping[str, str]
    grpc: "grpc.aio.ServicerContext[Any, Any]"
    action: str = ""
    """What the audit log calls it."""
    caller: Caller | None = None
    recorded: bool = False
    """Whether its audit event has been written."""
    read: Read = field(default_factory=Read)
    """What it reads, for methods whose rule has `reads`."""
    send_limit_s: float | None = None
    """How long a stream's reader may take nothing before the stream is cut off; None: for ever."""

    @property
    def facts(self) -> dict[str, str]:
        """What each event of the call says besides: its id, and who really acts if it is told."""
        return {"request_id": self.request_id, **(self.caller.marks if self.caller else {})}


_call: ContextVar[Call] = ContextVar("call")


def begin(call: Call) -> None:
    """Start a call."""
    _call.set(call)


def current_call() -> Call | None:
    """The running call; None beside the calls."""
    return _call.get(None)


def current_caller() -> Caller:
    """Who calls. Raises: TokenMissing in a public method, which knows no caller."""
    caller = _call.get().caller
    if caller is None:
        raise TokenMissing("this needs an access token")
    return caller


def caller_if_any() -> Caller | None:
    """Who calls, where a token is optional."""
    return _call.get().caller


def current_action() -> str:
    """What the audit log calls the running method."""
    return _call.get().action


def recorded() -> None:
    """Note that the audit event of the running call has been written, if a call runs."""
    call = _call.get(None)
    if call is not None:
        call.recorded = True


def reading(
    what: Mapping[str, str] | None = None,
    *,
    results: int | None = None,
    target: tuple[str, str] | None = None,
) -> None:
    """Note what the running call reads, for the event that tells of it (`reads` in its rule).

    what: what was asked for, e.g. `{"query": "…", "filter": "…", "format": "…"}`; sealed with the
    event. Page tokens and sizes do not belong there: calls that differ in nothing else are one
    read. results: how many things it has found. target: type and id of the one thing that it
    shows, a public fact of the event. A later note adds to an earlier one.
    """
    call = _call.get(None)
    if call is None:
        return
    call.read.what.update({name: text for name, text in (what or {}).items() if text})
    call.read.target = target or call.read.target
    call.read.results = call.read.results if results is None else results


def limit_sending(seconds: float) -> None:
    """Cut the running stream off when its reader takes nothing for so long."""
    _call.get().send_limit_s = seconds


def current_authorization() -> str:
    """The header `authorization` of the running call, where a method reads it itself."""
    return _call.get().metadata.get("authorization", "")


def current_header(name: str) -> str:
    """A header of the running call by its name in small letters; empty when it has none."""
    return _call.get().metadata.get(name, "")


def current_request_id() -> str:
    """The id that finds this call in all logs."""
    return _call.get().request_id


def current_client() -> tuple[str, str]:
    """The address and the user agent that the call came from; empty when unknown."""
    call = _call.get()
    # Behind the gateway `user-agent` is the browser's; called directly it is the gRPC library's.
    return _address(call), call.metadata.get("user-agent", "")[:MAX_USER_AGENT]


def _address(call: Call) -> str:
    """The client's address: the gateway's word, which overwrites the client's, or the peer's."""
    metadata = call.metadata
    forwarded = metadata.get("x-envoy-external-address") or metadata.get("x-forwarded-for", "")
    if forwarded:
        return forwarded.rsplit(",", 1)[-1].strip()[:MAX_ADDRESS]
    return re.sub(r"^ipv[46]:|:\d+$", "", call.grpc.peer()).strip("[]")[:MAX_ADDRESS]
