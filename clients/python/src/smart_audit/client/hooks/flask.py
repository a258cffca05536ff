"""An extension for Flask."""

from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress

import flask

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

_CRASHED = 500
_CONTEXT = "smart_audit_context"


def nobody() -> Actor:
    """Nobody in particular."""
    return ANONYMOUS


class Audit:
    """Records requests once they are answered.

    actor: who sends the request at hand, asked inside it. methods: which requests. action: what to
    call each, or nothing for one that is not recorded.
    """

    def __init__(
        self,
        recorder: Recorder,
        app: flask.Flask | None = None,
        *,
        actor: Callable[[], Actor | None] = nobody,
        methods: Collection[str] = CHANGING,
        action: Named = by_method,
    ) -> None:
        self._recorder = recorder
        self._actor = actor
        self._methods = frozenset(methods)
        self._action = action
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Record the requests of a program."""
        app.before_request(self._begin)
        app.after_request(self._answered)
        app.teardown_request(self._end)

    def _begin(self) -> None:
        stack = ExitStack()
        stack.enter_context(
            acting_as(
                self._actor,
                source_address=flask.request.remote_addr or "",
                user_agent=flask.request.user_agent.string,
            )
        )
        setattr(flask.g, _CONTEXT, stack)

    def _answered(self, response: flask.Response) -> flask.Response:
        self._record(response.status_code)
        return response

    def _end(self, error: BaseException | None) -> None:
        stack: ExitStack | None = flask.g.pop(_CONTEXT, None)
        if stack is None:
            return
        # Where errors are passed on, as in tests, there was no answer.
        if error is not None and flask.current_app.config["PROPAGATE_EXCEPTIONS"]:
            self._record(_CRASHED)
        # A streamed answer may end in another context, whose actor is not ours to take back.
        with suppress(ValueError):
            stack.close()

    def _record(self, status: int) -> None:
        request = flask.request
        if request.method not in self._methods:
            return
        route = "" if request.url_rule is None else request.url_rule.rule
        handled = Handled(request.method, request.path, route, status)
        record_request(self._recorder, handled, self._actor, self._action)
