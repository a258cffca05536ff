"""`Client`: the API for programs without an event loop, from any thread.

Each method is that of `AsyncClient`, which runs in a loop of its own and is waited for.
"""

import copy
from types import TracebackType
from typing import Self, Unpack

import grpc.aio

from smart_audit.client.address import DEFAULT_ADDRESS
from smart_audit.client.aio import Access, AsyncClient, Options, RawResponse
from smart_audit.client.aio_events import AsyncEvents
from smart_audit.client.aio_log import AsyncLog
from smart_audit.client.connection import Request, Response
from smart_audit.client.loop_thread import LoopThread
from smart_audit.client.services import Services
from smart_audit.client.settings import Settings
from smart_audit.client.waiting import Waiting, each, waits


class Events(Waiting[AsyncEvents]):
    """Recording and reading events: `client.events`."""

    record = waits(AsyncEvents.record)
    send = waits(AsyncEvents.send)
    send_all = waits(AsyncEvents.send_all)
    get = waits(AsyncEvents.get)
    proof = waits(AsyncEvents.proof)
    disclose = waits(AsyncEvents.disclose)
    list = each(AsyncEvents.list)
    search = each(AsyncEvents.search)
    tail = each(AsyncEvents.tail)
    tail_records = each(AsyncEvents.tail_records)
    export = waits(AsyncEvents.export)


class Log(Waiting[AsyncLog]):
    """What proves the log: `client.log`."""

    checkpoint = waits(AsyncLog.checkpoint)
    checkpoints = each(AsyncLog.checkpoints)
    inclusion = waits(AsyncLog.inclusion)
    consistency = waits(AsyncLog.consistency)
    check_receipt = waits(AsyncLog.check_receipt)
    verify_event = waits(AsyncLog.verify_event)
    verify = waits(AsyncLog.verify)


class Client(Waiting[AsyncClient]):
    """The API of Smart Audit, for any number of threads.

        with Client("localhost:8000", api_key="sa_…") as client:
            receipt = client.events.record("document.delete", "u_1")

    address: `https://host[:port]`, or plain `host:port`. It connects at the first call. After a
    fork parent and child may both go on with it; only iterators do not survive one.
    settings: as `Settings.read` gives them, instead of an address and what goes with it.
    Methods raise CallError, of a class that says why.
    Raises: ConfigError.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        settings: Settings | None = None,
        **access: Unpack[Access],
    ) -> None:
        inner = AsyncClient(address, settings=settings, **access)
        super().__init__(LoopThread("smart-audit-client", inner.suspend), inner)

    @classmethod
    def from_env(cls, profile: str = "", **options: Unpack[Options]) -> Self:
        """As `AsyncClient.from_env`. Raises: ConfigError; OSError when a file cannot be read."""
        return cls(settings=Settings.read(profile=profile), **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and the thread; calls that are under way fail, and later ones too."""
        self._thread.run(self._inner.close)
        self._thread.end()

    def with_options(
        self, *, timeout_s: float | None = None, retry_for_s: float | None = None
    ) -> Self:
        """The same client with other patience: `client.with_options(timeout_s=2).events.get(id)`.

        It shares the connection, and ends with it.
        """
        other = copy.copy(self)
        inner = self._inner.with_options(timeout_s=timeout_s, retry_for_s=retry_for_s)
        other._inner = inner  # noqa: SLF001  (another of the same)
        return other

    @property
    def settings(self) -> Settings:
        """Where it calls and as whom."""
        return self._inner.settings

    @property
    def events(self) -> Events:
        """Recording and reading events."""
        return Events(self._thread, self._inner.events)

    @property
    def log(self) -> Log:
        """What proves the log."""
        return Log(self._thread, self._inner.log)

    @property
    def services(self) -> Services:
        """The API's own methods, for `call` and `raw`."""

        async def connected() -> Services:
            return self._inner.services

        return self._thread.run(connected)

    verify = waits(AsyncClient.verify)

    def call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> Response:
        """Call any method of the API: `client.call(client.services.auth.GetMe, GetMeRequest())`.

        Raises: CallError.
        """
        return self._wait(lambda _inner: self._inner.call(method, request))

    def raw(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> RawResponse[Response]:
        """As `call`, with what came along with the answer. Raises: CallError."""
        return self._wait(lambda _inner: self._inner.raw(method, request))
