"""Middleware for ASGI programs: FastAPI, Starlette and others."""

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from smart_audit.client.events import Actor
from smart_audit.client.hooks.context import ANONYMOUS, acting_as
from smart_audit.client.hooks.requests import (
    CHANGING,
    Handled,
    Named,
    by_method,
    record_request,
)
from smart_audit.client.recorder import Recorder

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CRASHED = 500


def authenticated_user(scope: Scope) -> Actor:
    """Whom Starlette's AuthenticationMiddleware has found; else nobody in particular."""
    user = scope.get("user")
    if user is None or not user.is_authenticated:
        return ANONYMOUS
    try:
        return {"id": str(user.identity), "type": "user", "name": str(user.display_name)}
    except NotImplementedError:
        return {"id": str(user.display_name), "type": "user"}


class AuditMiddleware:
    """Records requests once they are answered.

    actor: who sent it, by the ASGI scope; asked when the program has handled the request.
    methods: which requests. action: what to call each, or nothing for one that is not recorded.
    """

    def __init__(
        self,
        app: App,
        recorder: Recorder,
        *,
        actor: Callable[[Scope], Actor | None] = authenticated_user,
        methods: Collection[str] = CHANGING,
        action: Named = by_method,
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._actor = actor
        self._methods = frozenset(methods)
        self._action = action

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = _CRASHED

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        agent = dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1")
        address = (scope.get("client") or ("",))[0]

        def actor() -> Actor | None:
            return self._actor(scope)

        with acting_as(actor, source_address=address, user_agent=agent):
            try:
                await self._app(scope, receive, noted)
            finally:
                if scope["method"] in self._methods:
                    route = getattr(scope.get("route"), "path", "")
                    handled = Handled(scope["method"], scope["path"], route, status)
                    record_request(self._recorder, handled, actor, self._action)
