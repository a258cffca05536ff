"""Administrators of the installation, what they call, and what comes of it."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import grpc.aio

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import admin_pb2, admin_pb2_grpc, auth_pb2, organisations_pb2
from smart_audit.auth.administrators import grant_admin
from smart_audit.auth.domain import INSTALLATION
from smart_audit.auth.settings import AuthSettings
from tests.support.governance import until
from tests.support.world import User, World, ended_within

INSTALLATION_ID = str(INSTALLATION)
REASON = "support case 4711"
CALLS = {
    "ListUsers": admin_pb2.ListUsersRequest,
    "GetUser": admin_pb2.GetUserRequest,
    "DeactivateUser": admin_pb2.DeactivateUserRequest,
    "ReactivateUser": admin_pb2.ReactivateUserRequest,
    "ForcePasswordReset": admin_pb2.ForcePasswordResetRequest,
    "EndUserSessions": admin_pb2.EndUserSessionsRequest,
    "ListUserEvents": admin_pb2.ListUserEventsRequest,
    "Impersonate": admin_pb2.ImpersonateRequest,
}


@dataclass(frozen=True)
class Console:
    """What an administrator calls with."""

    world: World
    stub: Any
    user: User

    def __getattr__(self, method: str) -> Any:
        """A method of UserAdminService, called by this administrator."""
        call = getattr(self.stub, method)
        return lambda request: call(request, metadata=self.user.metadata)


def settings_of(world: World) -> AuthSettings:
    """What the command line reads."""
    return AuthSettings(database_url=world.database.service_url("auth"), log_level="ERROR")


async def new_administrator(world: World) -> User:
    """Somebody whom the operator has made an administrator, with a token to act as one."""
    user = await world.new_user()
    await grant_admin(settings_of(world), user.email)
    return await as_administrator(world, await world.login(user.email))


async def as_administrator(world: World, user: User) -> User:
    """The session, moved into the installation's own organisation."""
    answer = await world.organisations.SwitchOrganisation(
        organisations_pb2.SwitchOrganisationRequest(
            organisation_id=INSTALLATION_ID, refresh_token=user.refresh_token
        ),
        metadata=user.metadata,
    )
    return replace(
        user,
        organisation_id=INSTALLATION_ID,
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
    )


def admin_stub(channel: grpc.aio.Channel) -> Any:
    """The service, for whoever calls."""
    return admin_pb2_grpc.UserAdminServiceStub(channel)


def call_about(method: str, user_id: str) -> Any:
    """A valid request of a method about somebody."""
    fields = {} if method == "ListUsers" else {"user_id": user_id}
    if method == "Impersonate":
        fields["reason"] = REASON
    return CALLS[method](**fields)


async def told(console: Console, action: str, target: str) -> audit_pb2.Event:
    """The latest event of one kind about somebody, in the installation's log, once it is there."""
    request = audit_pb2.ListEventsRequest(action=action, target_id=target, page_size=1)

    async def found() -> audit_pb2.Event | None:
        answer = await console.world.events.ListEvents(request, metadata=console.user.metadata)
        return answer.events[0] if answer.events else None

    event: audit_pb2.Event = await until(found)
    return event


async def refused_soon(world: World, user: User) -> None:
    """Both services refuse the user's access token within a second."""
    me, listing = auth_pb2.GetMeRequest(), audit_pb2.ListEventsRequest()
    await asyncio.gather(
        ended_within(lambda: world.auth.GetMe(me, metadata=user.metadata)),
        ended_within(lambda: world.events.ListEvents(listing, metadata=user.metadata)),
    )
