"""What the running call knows about itself."""

import re
from collections.abc import Mapping
from contextvars import ContextVar

from smart_audit.core.tokens import Caller, TokenMissing

_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)
_request_id: ContextVar[str] = ContextVar("request_id", default="")
_client: ContextVar[tuple[Mapping[str, str], str]] = ContextVar("client")

MAX_ADDRESS = 64
MAX_USER_AGENT = 1024


def begin(request_id: str, metadata: Mapping[str, str], peer: str) -> None:
    """Start a call of nobody yet."""
    _caller.set(None)
    _request_id.set(request_id)
    _client.set((metadata, peer))


def set_caller(caller: Caller) -> None:
    """Note who calls, once the token has been checked."""
    _caller.set(caller)


def current_caller() -> Caller:
    """Who calls. Raises: TokenMissing in a public method, which knows no caller."""
    caller = _caller.get()
    if caller is None:
        raise TokenMissing("this needs an access token")
    return caller


def caller_if_any() -> Caller | None:
    """Who calls, where a token is optional."""
    return _caller.get()


def current_request_id() -> str:
    """The id that finds this call in all logs."""
    return _request_id.get()


def current_client() -> tuple[str, str]:
    """The address and the user agent that the call came from; empty when unknown."""
    metadata, peer = _client.get()
    # Behind the gateway `user-agent` is the browser's; called directly it is the gRPC library's.
    return _address(metadata, peer), metadata.get("user-agent", "")[:MAX_USER_AGENT]


def _address(metadata: Mapping[str, str], peer: str) -> str:
    """The client's address: the gateway's word, which overwrites the client's, or the peer's."""
    forwarded = metadata.get("x-envoy-external-address") or metadata.get("x-forwarded-for", "")
    if forwarded:
        return forwarded.rsplit(",", 1)[-1].strip()[:MAX_ADDRESS]
    return re.sub(r"^ipv[46]:|:\d+$", "", peer).strip("[]")[:MAX_ADDRESS]
