"""What the parts of a client share: one connection, made when it is first needed."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import grpc.aio

from smart_audit.client.address import Address, channel_credentials
from smart_audit.client.claims import organisation_of
from smart_audit.client.connection import (
    Answered,
    Connection,
    Patience,
    Request,
    Response,
    Session,
)
from smart_audit.client.errors import CallError
from smart_audit.client.settings import Settings


class Link:
    """The way to the gateway. on_trouble: told of a call's first repetition.

    stays: in the organisation that its access token is of; no call is made in another, though
    somebody moves the session there.
    Raises: ConfigError.
    """

    def __init__(
        self,
        settings: Settings,
        on_trouble: Callable[[CallError], None],
        *,
        stays: bool = False,
    ) -> None:
        # An address or a file that cannot be used is found where the client is made.
        place = Address.parse(settings.address)
        if place.tls:
            channel_credentials(settings.ca_file)
        self.settings = settings
        held, profiles = settings.credentials, settings.kept_in
        # It outlives the connection, and so do the tokens that it gets.
        self._session = Session(
            access_token=held.access_token,
            refresh_token=held.refresh_token,
            api_key=held.api_key,
            kept_in=None if profiles is None else (profiles, settings.profile),
            home=organisation_of(held.access_token) if stays else "",
        )
        self._on_trouble = on_trouble
        self._connection: Connection | None = None
        self._is_closed = False

    @property
    def connection(self) -> Connection:
        """The connection of the running loop. Raises: RuntimeError once closed."""
        if self._is_closed:
            raise RuntimeError("the client is closed")
        if self._connection is None:
            self._connection = Connection(
                self.settings.address,
                self._session,
                ca_file=self.settings.ca_file,
                on_trouble=self._on_trouble,
            )
        return self._connection

    @property
    def organisation(self) -> str:
        """Whose log the calls are for; empty as long as that is not known."""
        return self._session.home or organisation_of(self._session.access_token)

    async def find_organisation(self) -> str:
        """As `organisation`; an API key is exchanged for it. Raises: CallError."""
        if not self.organisation and self.settings.credentials.api_key:
            await self.connection.authenticate()
        return self.organisation

    async def disconnect(self) -> None:
        """End the connection; the next call makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def close(self) -> None:
        """End the connection, for good."""
        self._is_closed = True
        await self.disconnect()


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes calls with some patience."""

    link: Link
    patience: Patience
    check_receipts: bool = False

    @property
    def connection(self) -> Connection:
        """As `Link.connection`."""
        return self.link.connection

    async def call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> Response:
        """As `Connection.call`. Raises: CallError."""
        return await self.connection.call(method, request, self.patience)

    async def answered(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> tuple[Response, Answered[Request, Response]]:
        """As `Connection.answered`. Raises: CallError."""
        return await self.connection.answered(method, request, self.patience)

    def stream(
        self, method: grpc.aio.UnaryStreamMultiCallable[Request, Response], request: Request
    ) -> AsyncGenerator[Response]:
        """As `Connection.stream`. Raises: CallError, TimeoutError."""
        return self.connection.stream(method, request, self.patience.call_limit_s)
