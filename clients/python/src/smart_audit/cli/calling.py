"""Where a command calls and as whom: the options that say so, and the connection they lead to."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import grpc.aio
import typer

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.cli.asking import ask, factor, is_terminal
from smart_audit.cli.completion import profiles
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.text import complain, repeated
from smart_audit.client.address import Address
from smart_audit.client.blocking import BlockingConnection
from smart_audit.client.connection import Connection, Request, Response, Session
from smart_audit.client.errors import CallError
from smart_audit.client.profiles import Credentials
from smart_audit.client.services import Services
from smart_audit.client.settings import Settings

Given = ParamSpec("Given")
Trouble = Callable[[CallError], None]

_PAGE: Final = 500

ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile",
        metavar="NAME",
        autocompletion=profiles,
        help="The profile to use, instead of $SMART_AUDIT_PROFILE or the default one.",
    ),
]
AddressOption = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="URL",
        help="The gateway: https://host, or host:port; instead of $SMART_AUDIT_ADDRESS or the "
        "profile's.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="File with an access token, instead of $SMART_AUDIT_TOKEN, $SMART_AUDIT_API_KEY or "
        "what the profile is logged in with.",
    ),
]


def warn_if_exposed(settings: Settings) -> None:
    """Say so before passwords and tokens go where everybody on the way can read them."""
    if Address.parse(settings.address).is_exposed:
        complain(f"{settings.address} is called without TLS: what is sent can be read on the way")


def _complain_of_trouble(retry_for_s: float, error: CallError) -> None:
    complain(repeated(error, retry_for_s))


@dataclass(frozen=True, slots=True)
class Calling:
    """Where to call, and as whom."""

    settings: Settings

    @classmethod
    def read(cls, profile: str, address: str, token_file: Path | None) -> "Calling":
        """What the options say. Raises: ConfigError, Failure, OSError."""
        settings = Settings.read(profile=profile, address=address)
        warn_if_exposed(settings)
        if token_file is None:
            return cls(settings)
        token = token_file.read_text(encoding="utf-8").strip()
        if not (token and token.isascii() and token.isprintable() and " " not in token):
            raise Failure("the access token is malformed", ExitCode.AUTH)
        given = Credentials(access_token=token)
        return cls(replace(settings, credentials=given, kept_in=None))

    @property
    def is_known(self) -> bool:
        """Whether there is anything to log in with."""
        held = self.settings.credentials
        return bool(held.access_token or held.api_key)

    def session(self) -> Session:
        """The session of what there is to log in with; perhaps of nothing."""
        held, kept = self.settings.credentials, self.settings.kept_in
        return Session(
            access_token=held.access_token,
            refresh_token=held.refresh_token,
            api_key=held.api_key,
            kept_in=None if kept is None else (kept, self.settings.profile),
        )

    def require_known(self) -> None:
        """Refuse to call as nobody. Raises: Failure."""
        if not self.is_known:
            raise Failure(
                f"not logged in at {self.settings.address}: smart-audit login", ExitCode.AUTH
            )

    def blocking(
        self, session: Session, *, retry_for_s: float = 10.0, on_trouble: Trouble | None = None
    ) -> BlockingConnection:
        """A connection for code without a loop; trouble is told on stderr, if not otherwise.

        Raises: ConfigError.
        """
        return BlockingConnection(
            self.settings.address,
            session,
            ca_file=self.settings.ca_file,
            retry_for_s=retry_for_s,
            on_trouble=on_trouble or functools.partial(_complain_of_trouble, retry_for_s),
        )

    def connect(
        self, session: Session, *, retry_for_s: float = 10.0, on_trouble: Trouble | None = None
    ) -> Connection:
        """A connection of the running loop; trouble is told on stderr, if not otherwise.

        Raises: ConfigError.
        """
        return Connection(
            self.settings.address,
            session,
            ca_file=self.settings.ca_file,
            retry_for_s=retry_for_s,
            on_trouble=on_trouble or functools.partial(_complain_of_trouble, retry_for_s),
        )

    def authenticated(self) -> Session:
        """The session, with an access token if it has an API key. Raises: CallError."""
        session = self.session()
        if session.is_due:
            with self.blocking(session) as connection:
                connection.authenticate()
        return session


class Calls:
    """Calls that are waited for, one after the other, by somebody who can be asked for a password.

    A call that needs a recent authentication asks for one, if somebody sits at the terminal.
    """

    def __init__(self, calling: Calling, session: Session, connection: BlockingConnection) -> None:
        self.calling = calling
        self._session = session
        self._connection = connection

    @property
    def services(self) -> Services:
        """The methods to call."""
        return self._connection.services

    def call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> Response:
        """As `Connection.call`. Raises: CallError."""
        try:
            return self._connection.call(method, request)
        except CallError as error:
            if error.reason != "REAUTHENTICATION_REQUIRED" or not is_terminal():
                raise
        self._reauthenticate()
        return self._connection.call(method, request)

    def authenticated(self) -> Session:
        """The session, with an access token if it has an API key. Raises: CallError."""
        if self._session.is_due:
            self._connection.authenticate()
        return self._session

    def each(self, method: Any, request: Any, field: str, limit: int) -> Iterator[Any]:
        """The things in a list, page by page. limit: 0 for all of them. Raises: CallError."""
        left = limit
        while True:
            request.page_size = min(_PAGE, left) if limit else _PAGE
            answer = self.call(method, request)
            for one in getattr(answer, field):
                yield one
                left -= 1
                if left == 0:
                    return
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def _reauthenticate(self) -> None:
        """Raises: CallError, Failure."""
        request = auth_pb2.ReauthenticateRequest(password=ask("password"))
        try:
            answer = self._connection.call(self.services.auth.Reauthenticate, request)
        except CallError as error:
            if error.reason != "SECOND_FACTOR_MISSING":
                raise
            request.MergeFrom(auth_pb2.ReauthenticateRequest(**factor(ask("code"))))
            answer = self._connection.call(self.services.auth.Reauthenticate, request)
        self._session.access_token = answer.access_token
        self._session.refresh_token = answer.refresh_token
        if self._session.kept_in is not None:
            kept, profile = self._session.kept_in
            fresh = {"access_token": answer.access_token, "refresh_token": answer.refresh_token}
            kept.keep(profile, replace(kept.credentials(profile), **fresh))


def calling(function: Callable[Concatenate[Calling, Given], None]) -> Callable[..., None]:
    """A command that is told where to call, by options that it need not know of."""

    @functools.wraps(function)
    def run(
        *args: Any,
        profile: str = "",
        address: str = "",
        token_file: Path | None = None,
        **options: Any,
    ) -> None:
        function(Calling.read(profile, address, token_file), *args, **options)

    own = inspect.signature(run, follow_wrapped=False).parameters
    _, *parameters = inspect.signature(function).parameters.values()
    parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in parameters]
    for name, annotation in _OPTIONS.items():
        parameters.append(own[name].replace(annotation=annotation))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def calls(function: Callable[Concatenate[Calls, Given], None]) -> Callable[..., None]:
    """A command that calls the service, as somebody."""

    @functools.wraps(function)
    def run(where: Calling, *args: Any, **options: Any) -> None:
        where.require_known()
        session = where.session()
        with where.blocking(session) as connection:
            function(Calls(where, session, connection), *args, **options)

    return calling(run)


_OPTIONS: Final = {
    "profile": ProfileOption,
    "address": AddressOption,
    "token_file": TokenFileOption,
}
