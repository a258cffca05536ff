"""What the running call knows about itself."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smart_audit.core.tokens import Caller, TokenMissing

if TYPE_CHECKING:
    import grpc.aio

MAX_ADDRESS = 64
MAX_USER_AGENT = 1024


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
