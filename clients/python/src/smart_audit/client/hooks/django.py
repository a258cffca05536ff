"""Middleware for Django, with and without a loop.

    MIDDLEWARE = [..., "smart_audit.client.hooks.django.AuditMiddleware"]  # behind authentication
    SMART_AUDIT_RECORDER = "mysite.audit.recorder"

SMART_AUDIT_RECORDER: a `Recorder`, or where one is; made of the environment when it is not set.
SMART_AUDIT_METHODS: which requests are recorded; those that change something when it is not set.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.utils.module_loading import import_string

from smart_audit.client.events import Actor
from smart_audit.client.hooks.context import ANONYMOUS, UNKNOWN, Acting, acting_as, log
from smart_audit.client.hooks.requests import CHANGING, Handled, by_method, record_request
from smart_audit.client.recorder import Recorder


class AuditMiddleware:
    """Records requests once they are answered, by the user that Django knows."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._methods = frozenset(getattr(settings, "SMART_AUDIT_METHODS", CHANGING))
        self._recorder = _recorder()
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Handle a request."""
        if iscoroutinefunction(self._get_response):
            return self._with_loop(request)
        with acting_as(lambda: _actor(_user_of(request)), **_where(request)):
            response = self._get_response(request)
            if request.method in self._methods:
                self._record(request, response.status_code, lambda: _actor(_user_of(request)))
        return response

    async def _with_loop(self, request: Any) -> Any:
        if request.method not in self._methods:
            with acting_as(lambda: _actor(_user_of(request)), **_where(request)):
                return await self._get_response(request)
        # A user that has not been looked up yet would be without a loop, which Django refuses.
        actor = await _looked_up(request)
        with acting_as(actor, **_where(request)):
            response = await self._get_response(request)
            self._record(request, response.status_code, actor)
        return response

    def _record(self, request: Any, status: int, actor: Acting) -> None:
        match = request.resolver_match
        route = "" if match is None else f"/{match.route}"
        handled = Handled(request.method, request.path, route, status)
        record_request(self._recorder, handled, actor, by_method)


async def _looked_up(request: Any) -> Actor:
    if not hasattr(request, "auser"):
        return ANONYMOUS
    try:
        return _actor(await request.auser())
    except Exception as error:  # noqa: BLE001  (the program goes on)
        log.warning("who acts was not found out: %s", error)
        return UNKNOWN


def _user_of(request: Any) -> Any:
    return getattr(request, "user", None)


def _actor(user: Any) -> Actor:
    if user is None or not user.is_authenticated:
        return ANONYMOUS
    return {"id": str(user.pk), "type": "user", "name": user.get_username()}


def _where(request: Any) -> dict[str, str]:
    return {
        "source_address": request.META.get("REMOTE_ADDR", ""),
        "user_agent": request.headers.get("user-agent", ""),
    }


def _recorder() -> Recorder:
    given = getattr(settings, "SMART_AUDIT_RECORDER", None)
    if given is None:
        return _of_environment()
    found: Recorder = import_string(given) if isinstance(given, str) else given
    return found


@cache
def _of_environment() -> Recorder:
    return Recorder()
