"""Sending events in order, for as long as it takes, and setting aside what is never taken."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

import grpc

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.caller import Link
from smart_audit.client.connection import Patience
from smart_audit.client.errors import CallError
from smart_audit.client.recorder.counters import Tally

FIRST_PAUSE_S: Final = 0.2
LAST_PAUSE_S: Final = 5.0
# What breaks the service each time is one of the events: after so many attempts it is looked for.
_BREAKING_ATTEMPTS: Final = 5
_BREAKING: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
# The whole call is refused for something in it.
_REFUSING: Final = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE})
_TOO_LARGE: Final = "larger than max"

SetAside = Callable[[audit_pb2.Event, audit_pb2.Refusal], None]


class Sender:
    """Sends batches, one call at a time. set_aside: takes an event that the service refuses."""

    def __init__(self, link: Link, timeout_s: float, tally: Tally, set_aside: SetAside) -> None:
        self._link = link
        self._patience = Patience(timeout_s, retry_for_s=0)
        self._tally = tally
        self._set_aside = set_aside
        # Failed ones in a row; who gave up and comes again has not begun anew.
        self._attempts = 0

    async def send(
        self, events: Sequence[bytes], gives_up: Callable[[], bool] = lambda: False
    ) -> Sequence[bytes]:
        """Bring serialised events to an end, each one: it is in the log, or set aside.

        gives_up: asked after each attempt that failed. Gives the last events, those that were not
        brought to an end; none, unless it gave up.
        """
        request = audit_pb2.RecordEventsRequest(
            events=[audit_pb2.Event.FromString(one) for one in events]
        )
        while True:
            try:
                answer = await self._link.connection.call(
                    self._link.connection.events.RecordEvents, request, self._patience
                )
            except CallError as error:
                self._attempts += 1
                if _is_for_good(error, self._attempts):
                    self._attempts = 0
                    return await self._divide(events, request, error, gives_up)
                self._tally.trouble = str(error)
                await asyncio.sleep(max(pause_s(self._attempts), error.retry_after_s))
                if gives_up():
                    return events
            else:
                self._attempts = 0
                self._tally.trouble = ""
                break
        for event, result in zip(request.events, answer.results, strict=True):
            if result.HasField("refusal"):
                self._refuse(event, result.refusal)
        self._tally.add_sent(sum(one.HasField("receipt") for one in answer.results))
        return []

    async def _divide(
        self,
        events: Sequence[bytes],
        request: audit_pb2.RecordEventsRequest,
        error: CallError,
        gives_up: Callable[[], bool],
    ) -> Sequence[bytes]:
        """Look for the event that a call is refused for."""
        if len(events) == 1:
            reason = error.reason or error.code.name
            refusal = audit_pb2.Refusal(
                reason=reason, message=error.message, fields=list(error.fields)
            )
            self._refuse(request.events[0], refusal)
            return []
        middle = len(events) // 2
        if rest := await self.send(events[:middle], gives_up):
            return [*rest, *events[middle:]]
        return await self.send(events[middle:], gives_up)

    def _refuse(self, event: audit_pb2.Event, refusal: audit_pb2.Refusal) -> None:
        self._tally.add_refused(refusal.reason)
        self._set_aside(event, refusal)


def _is_for_good(error: CallError, attempts: int) -> bool:
    """Whether the same call would be refused for ever.

    Not when it is for who calls: a key that was revoked is replaced, and the events wait for it.
    """
    if error.code in _BREAKING:
        # Without a reason no service of ours has answered: the connection broke.
        return bool(error.reason) and attempts >= _BREAKING_ATTEMPTS
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _TOO_LARGE in error.message
    return error.code in _REFUSING


def pause_s(attempts: int) -> float:
    """Between attempts: longer each time, with jitter."""
    longest = min(LAST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 16))
    return random.uniform(longest / 2, longest)  # noqa: S311  (jitter, not a secret)
