"""Both services as one process sees them: real servers, real gRPC, a real database."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import argon2
import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from smart_audit.api.audit.v1 import audit_pb2_grpc, governance_pb2_grpc, search_pb2_grpc
from smart_audit.api.auth.v1 import (
    auth_pb2,
    auth_pb2_grpc,
    factors_pb2_grpc,
    organisations_pb2_grpc,
    sessions_pb2_grpc,
)
from smart_audit.audit.settings import AuditSettings
from smart_audit.audit.wiring import running as audit_running
from smart_audit.auth.domain import canonical
from smart_audit.auth.settings import AuthSettings
from smart_audit.auth.wiring import running as auth_running
from smart_audit.core.ids import new_id
from tests.support.database import Database

ISSUER = "http://issuer.test"
PASSWORD = "correct horse battery staple"
LAST_NAME = "Lovelace"
ADD_USER = """
WITH person AS (
    INSERT INTO auth.users (
        id, email, email_canonical, first_name, last_name, password_hash, created_at,
        email_verified_at
    ) VALUES (
        %(user)s, %(email)s, %(canonical)s, %(first_name)s, %(last_name)s, %(hash)s, now(), now()
    )
), home AS (
    INSERT INTO auth.organisations (id, name, created_at)
    VALUES (%(organisation)s, %(first_name)s || ' ' || %(last_name)s, now())
)
INSERT INTO auth.memberships (organisation_id, user_id, role, created_at)
VALUES (%(organisation)s, %(user)s, 'owner', now())
"""
QUICK_HASHES = {"argon2_memory_kib": 64, "argon2_passes": 1}
"""For users who are only there to do something else: a fifth of the run's time. No installation can
be set like this."""


@dataclass(frozen=True)
class World:
    """Both services, running."""

    database: Database
    auth_port: int
    audit_port: int
    auth_channel: grpc.aio.Channel
    audit_channel: grpc.aio.Channel
    auth: Any
    sessions: Any
    factors: Any
    events: Any
    log: Any
    governance: Any
    search: Any
    organisations: Any

    @property
    def mail_dir(self) -> Path:
        """Where the mails of this world are."""
        return mail_dir(self.auth_port)

    async def new_user(self, email: str = "", first_name: str = "Ada") -> "User":
        """A new user, logged in; the address is verified.

        Without a signup: its mail, its event and all that follows from them take longer than most
        tests. `signed_up` has them.
        """
        email = email or new_email()
        with self.database.connect() as connection:
            connection.execute(
                ADD_USER,
                {
                    "user": new_id(),
                    "organisation": new_id(),
                    "email": email,
                    "canonical": canonical(email),
                    "first_name": first_name,
                    "last_name": LAST_NAME,
                    "hash": password_hash(),
                },
            )
        return await self.login(email)

    async def signed_up(
        self, email: str = "", first_name: str = "Ada", *, verified: bool = True
    ) -> "User":
        """A user who has signed up and logged in; the address is verified unless told otherwise."""
        email = email or new_email()
        await self.auth.Signup(
            auth_pb2.SignupRequest(
                email=email, password=PASSWORD, first_name=first_name, last_name=LAST_NAME
            )
        )
        if verified:
            with self.database.connect() as connection:
                connection.execute(
                    "UPDATE auth.users SET email_verified_at = now() WHERE email = %s", [email]
                )
        return replace(await self.login(email), entries=2)

    async def login(self, email: str, password: str = PASSWORD) -> "User":
        """Log in."""
        answer = await self.auth.Login(auth_pb2.LoginRequest(email=email, password=password))
        return User(
            id=answer.user.id,
            email=email,
            organisation_id=answer.organisation_id,
            session_id=answer.session_id,
            access_token=answer.access_token,
            refresh_token=answer.refresh_token,
        )


def new_email() -> str:
    """An address that nobody has."""
    return f"{uuid4().hex}@example.com"


@cache
def password_hash() -> str:
    """Of PASSWORD, as QUICK_HASHES says."""
    memory, passes = QUICK_HASHES["argon2_memory_kib"], QUICK_HASHES["argon2_passes"]
    hasher = argon2.PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=1)
    return hasher.hash(PASSWORD)


@dataclass(frozen=True)
class User:
    """A logged-in user."""

    id: str
    email: str
    organisation_id: str
    session_id: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    entries: int = 1
    """How many events of the user's own the log begins with, if this is the first login."""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call of this user carries."""
        return (("authorization", f"Bearer {self.access_token}"),)


@asynccontextmanager
async def running_world(
    database: Database,
    auth: dict[str, Any] | None = None,
    audit: dict[str, Any] | None = None,
    *,
    quick_hashes: bool = True,
) -> AsyncIterator[World]:
    """Run both services on a database; settings may be given."""
    auth_port, audit_port = free_port(), free_port()
    common = {"issuer": ISSUER, "log_level": "ERROR"}
    auth_settings = AuthSettings(
        **{
            **common,
            "port": auth_port,
            "database_url": database.service_url("auth"),
            "audit_address": f"127.0.0.1:{audit_port}",
            "mail_dir": mail_dir(auth_port),
            **(auth or {}),
        }
    )
    if quick_hashes:
        # A copy is not validated, and the weakest hashes that are allowed would be too slow.
        auth_settings = auth_settings.model_copy(update=QUICK_HASHES)
    audit_settings = AuditSettings(
        **{
            **common,
            "port": audit_port,
            "database_url": database.service_url("audit"),
            "auth_address": f"127.0.0.1:{auth_port}",
            **(audit or {}),
        }
    )
    async with (
        audit_running(audit_settings),
        auth_running(auth_settings),
        grpc.aio.insecure_channel(f"127.0.0.1:{auth_port}") as auth_channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{audit_port}") as audit_channel,
    ):
        yield world_over(database, (auth_port, audit_port), auth_channel, audit_channel)


def world_over(
    database: Database,
    ports: tuple[int, int],
    auth_channel: grpc.aio.Channel,
    audit_channel: grpc.aio.Channel,
) -> World:
    """The services that answer on these channels; ports: of auth and of audit."""
    return World(
        database,
        *ports,
        auth_channel,
        audit_channel,
        auth_pb2_grpc.AuthServiceStub(auth_channel),
        sessions_pb2_grpc.SessionServiceStub(auth_channel),
        factors_pb2_grpc.FactorServiceStub(auth_channel),
        audit_pb2_grpc.EventServiceStub(audit_channel),
        audit_pb2_grpc.LogServiceStub(audit_channel),
        governance_pb2_grpc.GovernanceServiceStub(audit_channel),
        search_pb2_grpc.SearchServiceStub(audit_channel),
        organisations_pb2_grpc.OrganisationServiceStub(auth_channel),
    )


def mail_dir(auth_port: int) -> Path:
    """Where auth writes its mails."""
    return Path(os.environ["SMART_AUDIT_TEST_RUN"]) / f"mail-{auth_port}"


@dataclass(frozen=True)
class Refusal:
    """A call that was refused."""

    code: grpc.StatusCode
    reason: str
    message: str
    fields: dict[str, str]
    metadata: dict[str, str]


async def refusal(call: Any) -> Refusal:
    """Await a call that must be refused, and tell how."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return read_refusal(error)
    raise AssertionError(f"the call was not refused: {answer}")


async def ended_within(call: Callable[[], Any], limit_s: float = 1) -> None:
    """Repeat a call until it is refused for its session's end, which the feed has to tell first."""
    async with asyncio.timeout(limit_s):
        while True:
            try:
                await call()
            except grpc.aio.AioRpcError as error:
                assert read_refusal(error).reason == "SESSION_ENDED"  # noqa: PT017
                return
            await asyncio.sleep(0.01)


def read_refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """The one ErrorInfo of a refusal, and its BadRequest if there is one."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None, f"no details: {error.code()} {error.details()}"
    infos, fields = [], {}
    for detail in status.details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            infos.append(info)
        if detail.Unpack(bad):
            fields = {one.field: one.description for one in bad.field_violations}
    (info,) = infos
    assert info.domain == "smart-audit"
    return Refusal(error.code(), info.reason, status.message, fields, dict(info.metadata))


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
