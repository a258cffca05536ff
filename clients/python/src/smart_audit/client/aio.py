"""`AsyncClient`: the API for programs with an event loop. `Client` stands on it."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypedDict, Unpack

import grpc.aio

from smart_audit.client.address import DEFAULT_ADDRESS
from smart_audit.client.aio_events import AsyncEvents
from smart_audit.client.aio_log import AsyncLog
from smart_audit.client.caller import Caller, Link
from smart_audit.client.connection import (
    CALL_LIMIT_S,
    RETRY_FOR_S,
    Patience,
    Request,
    Response,
    ignore_trouble,
)
from smart_audit.client.errors import CallError
from smart_audit.client.profiles import Credentials
from smart_audit.client.services import Services
from smart_audit.client.settings import Settings
from smart_audit.client.verified import VerifiedEvent


class Options(TypedDict, total=False):
    """How a client behaves."""

    timeout_s: float
    """The deadline of one attempt, 30 by default."""
    retry_for_s: float
    """How long a call is repeated while the service is away, 10 by default; 0 for never."""
    check_receipts: bool
    """Whether the proof in each receipt is verified before it is returned."""
    on_trouble: Callable[[CallError], None]
    """Told of the failure that leads to a call's first repetition."""


class Access(Options, total=False):
    """Who calls: an API key, or the tokens of a login. None of them: a caller without a session."""

    api_key: str
    access_token: str
    refresh_token: str
    ca_file: Path | str | None
    """A PEM file to trust instead of the system's certificates."""


@dataclass(frozen=True, slots=True)
class RawResponse(Generic[Response]):
    """An answer as it came. metadata: what came along with it, names in lower case."""

    message: Response
    metadata: dict[str, str | bytes] = field(repr=False)

    @property
    def request_id(self) -> str:
        """Finds the call in the service's logs."""
        return str(self.metadata.get("x-request-id", ""))


class AsyncClient:
    """The API of Smart Audit, for one event loop.

        async with AsyncClient("localhost:8000", api_key="sa_…") as client:
            receipt = await client.events.record("document.delete", "u_1")

    address: `https://host[:port]`, or plain `host:port`. It connects at the first call, and belongs
    to the loop of that call. It does not survive a fork: make it in the process that uses it.
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
        if settings is None:
            ca_file = access.get("ca_file")
            settings = Settings(
                address,
                Credentials(
                    access_token=access.get("access_token", ""),
                    refresh_token=access.get("refresh_token", ""),
                    api_key=access.get("api_key", ""),
                ),
                Path(ca_file) if ca_file else None,
            )
        patience = Patience(
            access.get("timeout_s", CALL_LIMIT_S), access.get("retry_for_s", RETRY_FOR_S)
        )
        self._caller = Caller(
            Link(settings, access.get("on_trouble", ignore_trouble)),
            patience,
            check_receipts=access.get("check_receipts", False),
        )

    @classmethod
    def from_env(cls, profile: str = "", **options: Unpack[Options]) -> Self:
        """A client as SMART_AUDIT_* in the environment and the profile say, in this order.

        profile: else $SMART_AUDIT_PROFILE, else the default one. Tokens that a profile was logged
        in with are renewed, and written back to it.
        Raises: ConfigError; OSError when a file cannot be read.
        """
        return cls(settings=Settings.read(profile=profile), **options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection; calls that are under way fail, and later ones too."""
        await self._caller.link.close()

    async def suspend(self) -> None:
        """End the connection; the next call makes another, in the loop it is made in."""
        await self._caller.link.disconnect()

    def with_options(
        self, *, timeout_s: float | None = None, retry_for_s: float | None = None
    ) -> Self:
        """The same client with other patience: `client.with_options(timeout_s=2).events.get(id)`.

        It shares the connection, and ends with it.
        """
        other = copy.copy(self)
        patience = self._caller.patience
        if timeout_s is not None:
            patience = replace(patience, call_limit_s=timeout_s)
        if retry_for_s is not None:
            patience = replace(patience, retry_for_s=retry_for_s)
        other._caller = replace(  # noqa: SLF001  (another of the same)
            self._caller, patience=patience
        )
        return other

    @property
    def settings(self) -> Settings:
        """Where it calls and as whom."""
        return self._caller.link.settings

    @property
    def events(self) -> AsyncEvents:
        """Recording and reading events."""
        return AsyncEvents(self._caller)

    @property
    def log(self) -> AsyncLog:
        """What proves the log."""
        return AsyncLog(self._caller)

    @property
    def services(self) -> Services:
        """The API's own methods, for `call` and `raw`."""
        return self._caller.connection

    async def call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> Response:
        """Call any method of the API: `client.call(client.services.auth.GetMe, GetMeRequest())`.

        Raises: CallError.
        """
        return await self._caller.call(method, request)

    async def raw(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> RawResponse[Response]:
        """As `call`, with what came along with the answer. Raises: CallError."""
        answer, call = await self._caller.answered(method, request)
        came = (await call.initial_metadata(), await call.trailing_metadata())
        return RawResponse(answer, {name: value for source in came for name, value in source})

    async def verify(self, event_id: str, keys: Sequence[str] = ()) -> VerifiedEvent:
        """Fetch an event with its proof, and believe nothing that can be computed.

        keys: verifier keys that have signed the log's state, as its owner publishes them; else
        those that this machine remembers of the log, else those that the service gives.
        Raises: VerificationError, CallError.
        """
        return await self.log.verify_event(event_id, keys)
