"""Follows auth's revocation feed, so that revoked tokens are refused within a second."""

import asyncio

import grpc.aio
import structlog

from smart_audit.api.auth.v1 import sessions_pb2, sessions_pb2_grpc
from smart_audit.core.revocations import Revocation, Revocations

log = structlog.get_logger()

RETRY_S = 0.2
SILENCE_S = 3.0


class RevocationFollower:
    """Runs beside the server until it is cancelled."""

    def __init__(self, channel: grpc.aio.Channel, revocations: Revocations) -> None:
        self._auth = sessions_pb2_grpc.RevocationServiceStub(channel)
        self._revocations = revocations

    async def run(self) -> None:
        """Follow for ever; after a break, or three seconds of silence, ask for all anew."""
        told = False
        while True:
            try:
                await self._follow()
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                if not told:
                    log.warning("revocations.deaf", error=_name(error), retry_s=RETRY_S)
                told = True
            else:
                told = False
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        call = self._auth.WatchRevocations(sessions_pb2.WatchRevocationsRequest())
        try:
            while True:
                # Not wait_for: before Python 3.12 it lost the cancellation of a service that stops
                # in the moment in which the stream ends.
                async with asyncio.timeout(SILENCE_S):
                    message = await call.read()
                if not isinstance(message, sessions_pb2.WatchRevocationsResponse):
                    return  # the end of the stream
                self._revocations.hear(
                    Revocation(one.key, one.revoked_at_ms, one.expires_at)
                    for one in message.revocations
                )
        finally:
            call.cancel()


def _name(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return "it was silent"
