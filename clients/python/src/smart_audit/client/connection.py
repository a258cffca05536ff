"""A connection to the gateway: a channel, a session's tokens, and patience.

The tokens renew themselves: by the session's refresh token, or by an API key.

Every call of this API may be repeated: reads change nothing, and a recorded event is known by its
id. So a call is repeated, with growing pauses, while the service is away.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar, cast

import grpc
import grpc.aio

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.client.address import Address, channel_credentials
from smart_audit.client.api_key import exchange
from smart_audit.client.claims import organisation_of
from smart_audit.client.errors import CallError, call_error
from smart_audit.client.profiles import Credentials, Profiles
from smart_audit.client.services import Services

Request = TypeVar("Request")
Response = TypeVar("Response")
Answered = grpc.aio.UnaryUnaryCall[Request, Response]

CALL_LIMIT_S: Final = 30.0
RETRY_FOR_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.1
LAST_PAUSE_S: Final = 5.0
# A full bundle of the largest entries has 16 MiB and 512 bytes; gRPC would take 4 MiB.
MAX_ANSWER: Final = 32 * 1024 * 1024  # bytes

_OPTIONS: Final = (
    # gRPC's own pause between attempts to connect grows to two minutes: a service that is back
    # would stay unseen for so long.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", MAX_ANSWER),
    # Without TLS a proxy on the way could read the token.
    ("grpc.enable_http_proxy", 0),
)


@dataclass
class Session:
    """The tokens of one login, or those that an API key is exchanged for.

    Without a refresh token and without an API key it ends with its access token. All empty means a
    caller without a session.
    """

    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    renew_at: float = 0.0
    """When to exchange the API key again, on the clock of `time.monotonic`."""
    kept_in: tuple[Profiles, str] | None = None
    """The profile that the tokens are of, where renewed ones are written back."""
    home: str = ""
    """The only organisation to call in; empty to follow the session where it is moved."""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call in this session carries."""
        if not self.access_token:
            return ()
        return (("authorization", f"Bearer {self.access_token}"),)

    @property
    def is_due(self) -> bool:
        """Whether to exchange the API key before the next call."""
        return bool(self.api_key) and time.monotonic() >= self.renew_at


def ignore_trouble(_error: CallError) -> None:
    """Nobody wants to know that a call is being repeated."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for answers.

    call_limit_s: the deadline of one attempt. retry_for_s: how long a call is repeated while the
    service is away; 0 for never.
    """

    call_limit_s: float = CALL_LIMIT_S
    retry_for_s: float = RETRY_FOR_S


class Connection(Services):
    """Calls in one session.

    address: as `Address.parse` takes it. ca_file: what to trust instead of the system's
    certificates, a PEM file. retry_for_s: how long a call is repeated while the service is away.
    on_trouble: told of the failure that leads to a call's first repetition.
    Raises: ConfigError.
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
        self._place = place = Address.parse(address)
        super().__init__(
            grpc.aio.secure_channel(place.target, channel_credentials(ca_file), options=_OPTIONS)
            if place.tls
            else grpc.aio.insecure_channel(place.target, options=_OPTIONS)
        )
        self._session = session
        self._patience = Patience(retry_for_s=retry_for_s)
        self._on_trouble = on_trouble
        self._renewing = asyncio.Lock()

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
        """End the connection; calls that are under way fail."""
        await self._channel.close()

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        patience: Patience | None = None,
    ) -> Response:
        """Call a method of one of the stubs, again and again while the service is away.

        Raises: CallError.
        """
        return (await self.answered(method, request, patience))[0]

    async def answered(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        patience: Patience | None = None,
    ) -> tuple[Response, Answered[Request, Response]]:
        """As `call`, with the call that was answered, which knows its metadata.

        Raises: CallError.
        """
        patience = patience or self._patience
        give_up_at = None
        for pause_s in pauses():
            try:
                return await self._call_in_session(method, request, patience.call_limit_s)
            except CallError as error:
                if not error.may_pass:
                    raise
                now = time.monotonic()
                is_first = give_up_at is None
                give_up_at = give_up_at or now + patience.retry_for_s
                if now + pause_s > give_up_at:
                    raise
                if is_first:
                    self._on_trouble(error)
            await asyncio.sleep(pause_s)
        raise AssertionError("pauses never end")

    async def stream(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        silence_s: float,
    ) -> AsyncGenerator[Response]:
        """The answers of a streaming method, called once.

        Raises: CallError; TimeoutError when none comes for `silence_s` seconds.
        """
        await self._renew_ahead()
        call = method(request, metadata=self._session.metadata)
        try:
            while True:
                async with asyncio.timeout(silence_s):
                    answer = await call.read()
                if answer is grpc.aio.EOF:
                    return
                yield cast("Response", answer)
        except grpc.aio.AioRpcError as error:
            raise CallError.of(error) from error
        finally:
            call.cancel()

    @property
    def is_renewable(self) -> bool:
        """Whether the session can get a fresh access token."""
        return bool(self._session.refresh_token or self._session.api_key)

    async def _call_in_session(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        limit_s: float,
    ) -> tuple[Response, Answered[Request, Response]]:
        """Call once; when the access token is refused, once more with a fresh one.

        What a profile keeps may have run out as well: then there is a third time.
        """
        await self._renew_ahead()
        for is_last in (False, self._session.kept_in is None, True):
            used = self._session.access_token
            try:
                return await self._call_once(method, request, limit_s)
            except CallError as error:
                if error.code is not grpc.StatusCode.UNAUTHENTICATED or error.may_pass:
                    raise
                if is_last or not self.is_renewable:
                    raise
            await self._renew(used)
        raise AssertionError("the last attempt raises or returns")

    async def _renew_ahead(self) -> None:
        if not self._session.is_due:
            return
        try:
            await self.authenticate()
        except CallError as error:
            # The token that is there may be good for a while, until the service is back.
            if not self._session.access_token or not error.may_pass:
                raise

    async def _call_once(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        limit_s: float,
    ) -> tuple[Response, Answered[Request, Response]]:
        session = self._session
        if session.home and organisation_of(session.access_token) != session.home:
            raise call_error(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"the session has left the organisation {session.home}: log in to it again",
                "ORGANISATION_LEFT",
            )
        call = method(request, timeout=limit_s, metadata=session.metadata)
        try:
            return await call, call
        except grpc.aio.AioRpcError as error:
            raise CallError.of(error) from error

    async def authenticate(self) -> None:
        """Get a fresh access token, by the API key or the refresh token. Raises: CallError."""
        await self._renew(self._session.access_token)

    async def _renew(self, used: str) -> None:
        """Exchange what the session has, unless another call has done so since `used` was sent."""
        async with self._renewing:
            if self._session.access_token != used:
                return
            try:
                # No access token goes along: the gateway would refuse the expired one.
                await (self._exchange() if self._session.api_key else self._refresh())
            except grpc.aio.AioRpcError as error:
                raise CallError.of(error) from error

    async def _exchange(self) -> None:
        fresh = await exchange(self.oauth, self._session.api_key, CALL_LIMIT_S)
        self._session.access_token = fresh.token
        self._session.renew_at = fresh.renew_at

    async def _refresh(self) -> None:
        if self._session.kept_in is None:
            await self._refresh_once()
            return
        profiles, name = self._session.kept_in
        async with profiles.renewing():
            kept = profiles.credentials(name)
            if not kept.address or Address.parse(kept.address) != self._place:
                # Somebody has logged in elsewhere meanwhile: those tokens are not for here.
                kept = Credentials()
            if kept.refresh_token and kept.access_token != self._session.access_token:
                # Somebody else was quicker, and has used up the refresh token that we know.
                self._session.access_token = kept.access_token
                self._session.refresh_token = kept.refresh_token
                return
            await self._refresh_once()
            # A logout meanwhile stays one.
            if kept.refresh_token:
                fresh = replace(
                    kept,
                    access_token=self._session.access_token,
                    refresh_token=self._session.refresh_token,
                )
                profiles.keep(name, fresh)

    async def _refresh_once(self) -> None:
        request = auth_pb2.RefreshTokenRequest(refresh_token=self._session.refresh_token)
        answer = await self.auth.RefreshToken(request, timeout=CALL_LIMIT_S)
        self._session.access_token = answer.access_token
        self._session.refresh_token = answer.refresh_token


def pauses() -> Iterator[float]:
    """Growing pauses in seconds, without end; the jitter keeps clients from marching in step."""
    for attempt in itertools.count():
        longest = min(LAST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt, 16))
        yield random.uniform(longest / 2, longest)  # noqa: S311  (jitter, not a secret)
