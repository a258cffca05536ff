"""What the running call knows about itself."""

from contextvars import ContextVar

from smart_audit.core.tokens import Caller, TokenMissing

_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)
_request_id: ContextVar[str] = ContextVar("request_id", default="")
_client: ContextVar[tuple[str, str]] = ContextVar("client", default=("", ""))


def begin(request_id: str, address: str, user_agent: str) -> None:
    """Start a call of nobody yet."""
    _caller.set(None)
    _request_id.set(request_id)
    _client.set((address, user_agent))


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
    return _client.get()
