"""The dispatcher: takes audit events from the outbox to audit, in order, at least once.

The event's own id makes a repetition harmless, so the log sees each event once. Nothing else waits
for audit: while it is away the outbox grows, and nothing is lost.
"""

import asyncio
from datetime import timedelta

import grpc
import grpc.aio
import structlog
from prometheus_client import Counter

from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smart_audit.auth.domain import INSTALLATION, SERVICE_SCOPES
from smart_audit.auth.keys import AccessClaims, TokenIssuer
from smart_audit.auth.messages.events import to_event
from smart_audit.auth.repository import Repositories, Work
from smart_audit.auth.repository.outbox import TRACE
from smart_audit.auth.waking import Woken
from smart_audit.core import tracing

log = structlog.get_logger()

BATCH = 200
DEADLINE_S = 10
GATHER_S = 0.05
FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0
SUBJECT = "service:auth"
TOKEN_LIFETIME = timedelta(minutes=5)


SENT = Counter("smart_audit_outbox_sent", "Audit events that audit has taken from this process.")
FAILED = Counter(
    "smart_audit_outbox_send_failures", "Attempts of this process to send events that failed."
)


class Dispatcher(Woken):
    """Runs beside the server until it is cancelled."""

    def __init__(self, work: Work, issuer: TokenIssuer, channel: grpc.aio.Channel) -> None:
        super().__init__()
        self._work = work
        self._issuer = issuer
        self._audit = audit_pb2_grpc.EventServiceStub(channel)

    async def run(self) -> None:
        """Send what waits; then wait to be woken, or look again after two seconds.

        The second look finds what a process left that died between commit and sending.
        """
        retry_s = FIRST_RETRY_S
        while True:
            try:
                while await self._send_batch():
                    pass
                retry_s = FIRST_RETRY_S
            except Exception as error:  # noqa: BLE001  (whatever it is, the events wait)
                FAILED.inc()
                log.warning("outbox.waits", error=_name(error), retry_s=retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)
                continue
            if await self._pause():
                # A batch costs audit little more than a single event: let some come together.
                await asyncio.sleep(GATHER_S)

    async def _send_batch(self) -> bool:
        """Send the first events that wait. Returns whether there were any.

        The advisory lock keeps the order with several processes; it is held while audit is asked,
        and audit's answer is bounded by a deadline.
        """
        async with self._work.everywhere() as repositories:
            await repositories.outbox.lock()
            waiting = await repositories.outbox.next(BATCH)
            if not waiting:
                return False
            request = audit_pb2.RecordEventsRequest(
                events=[to_event(event) for _, event in waiting]
            )
            metadata = await self._metadata()
            with tracing.following("outbox", [event.get(TRACE) for _, event in waiting]):
                answer = await self._audit.RecordEvents(
                    request, metadata=metadata, timeout=DEADLINE_S
                )
            await self._settle([position for position, _ in waiting], answer, repositories)
            return True

    async def _metadata(self) -> tuple[tuple[str, str], ...]:
        claims = AccessClaims(SUBJECT, INSTALLATION, SERVICE_SCOPES, client_id=SUBJECT)
        token = await self._issuer.issue(claims, TOKEN_LIFETIME)
        return (("authorization", f"Bearer {token}"),)

    async def _settle(
        self,
        positions: list[int],
        answer: audit_pb2.RecordEventsResponse,
        repositories: Repositories,
    ) -> None:
        recorded = []
        for position, result in zip(positions, answer.results, strict=True):
            if result.WhichOneof("result") == "receipt":
                recorded.append(position)
            else:
                # It would be refused again and hold up all others: set aside, kept, reported.
                log.error("outbox.refused", position=position, reason=result.refusal.reason)
                await repositories.outbox.set_aside(position, result.refusal.message)
        await repositories.outbox.remove(recorded)
        SENT.inc(len(recorded))


def _name(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return type(error).__name__
