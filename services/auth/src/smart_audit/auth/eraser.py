"""The eraser: has deleted persons erased in the logs of audit, at least once, whenever it works.

Erasing twice changes nothing, so several processes share the queue as they share the mails.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import grpc
import grpc.aio
import structlog

from smart_audit.api.audit.v1 import governance_pb2, governance_pb2_grpc
from smart_audit.auth.dispatcher import DEADLINE_S, SUBJECT, TOKEN_LIFETIME
from smart_audit.auth.keys import AccessClaims, TokenIssuer
from smart_audit.auth.repository import Work
from smart_audit.auth.repository.erasures import Erasure
from smart_audit.auth.waking import Woken

log = structlog.get_logger()

AT_ONCE = 20
# The first is longer than an attempt may take. A legal hold may last for years.
DELAYS = (timedelta(seconds=30), timedelta(days=1))
SCOPES = ("subjects.erase",)
REASON = "the person has deleted the account"


class Eraser(Woken):
    """Runs beside the server until it is cancelled."""

    def __init__(
        self,
        work: Work,
        issuer: TokenIssuer,
        channel: grpc.aio.Channel,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__()
        self._work = work
        self._issuer = issuer
        self._audit = governance_pb2_grpc.GovernanceServiceStub(channel)
        self._now = now

    async def run(self) -> None:
        """Erase whom it is time for; then wait to be woken, or look again after two seconds."""
        while True:
            try:
                async with self._work.everywhere() as repositories:
                    due = await repositories.erasures.take(AT_ONCE, self._now(), DELAYS)
                for erasure in due:
                    await self._erase(erasure)
            except Exception as error:  # noqa: BLE001  (whatever it is, the erasures wait)
                log.warning("erasure.waits", error=type(error).__name__)
            await self._pause()

    async def _erase(self, erasure: Erasure) -> None:
        try:
            await self._ask(erasure)
        except grpc.aio.AioRpcError as error:
            # NOT_FOUND: the log holds nothing of the person.
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                log.warning(
                    "erasure.delayed",
                    user_id=str(erasure.user_id),
                    organisation_id=str(erasure.organisation_id),
                    attempts=erasure.attempts,
                    error=f"{error.code().name}: {error.details()}",
                )
                return
        async with self._work.everywhere() as repositories:
            await repositories.erasures.remove(erasure.position)

    async def _ask(self, erasure: Erasure) -> None:
        """The token is good for this one log, and for nothing but erasing in it."""
        claims = AccessClaims(SUBJECT, erasure.organisation_id, SCOPES, client_id=SUBJECT)
        token = await self._issuer.issue(claims, TOKEN_LIFETIME)
        await self._audit.EraseSubject(
            governance_pb2.EraseSubjectRequest(
                subject=governance_pb2.Subject(type="user", id=str(erasure.user_id)), reason=REASON
            ),
            metadata=(("authorization", f"Bearer {token}"),),
            timeout=DEADLINE_S,
        )
