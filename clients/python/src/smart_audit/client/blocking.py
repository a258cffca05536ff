"""The connection for code without an event loop."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc.aio

from smart_audit.client.connection import (
    RETRY_FOR_S,
    Connection,
    Request,
    Response,
    Session,
    ignore_trouble,
)
from smart_audit.client.errors import CallError
from smart_audit.client.services import Services


class BlockingConnection:
    """A `Connection` whose calls are waited for, in a loop of its own.

    The loop stands still between calls, so that Ctrl-C interrupts what the program does there.
    Not for several threads.
    """

    def __init__(
        self,
        address: str,
        session: Session,
        *,
        ca_file: Path | None = None,
        retry_for_s: float = RETRY_FOR_S,
        on_trouble: Callable[[CallError], None] = ignore_trouble,
    ) -> None:
        self._runner = asyncio.Runner()

        async def connect() -> Connection:
            # A channel of grpc.aio belongs to the loop that runs when it is made.
            return Connection(
                address,
                session,
                ca_file=ca_file,
                retry_for_s=retry_for_s,
                on_trouble=on_trouble,
            )

        self._connection = self._runner.run(connect())
        self.services: Services = self._connection
        self.auth = self._connection.auth
        self.events = self._connection.events
        self.event_types = self._connection.event_types
        self.log = self._connection.log

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()

    def authenticate(self) -> None:
        """As `Connection.authenticate`.

        Raises: CallError.
        """
        self._runner.run(self._connection.authenticate())

    def call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> Response:
        """As `Connection.call`.

        Raises: CallError.
        """
        return self._runner.run(self._connection.call(method, request))
