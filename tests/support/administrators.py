"""Administrators of the installation."""

from dataclasses import dataclass, replace
from typing import Any

import grpc.aio

from smart_audit.api.auth.v1 import admin_pb2_grpc, organisations_pb2
from smart_audit.auth.administrators import grant_admin
from smart_audit.auth.domain import INSTALLATION
from smart_audit.auth.settings import AuthSettings
from tests.support.world import User, World

INSTALLATION_ID = str(INSTALLATION)


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
