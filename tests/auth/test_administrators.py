"""`python -m smart_audit.auth grant-admin|revoke-admin`: how the first administrator is made."""

from uuid import uuid4

import pytest

from smart_audit.auth.administrators import grant_admin, revoke_admin
from tests.support.administrators import (
    INSTALLATION_ID,
    new_administrator,
    refused_soon,
    settings_of,
    told,
)


def role_of(world, user):
    return world.database.execute(
        "SELECT role FROM auth.memberships WHERE organisation_id = %s AND user_id = %s",
        INSTALLATION_ID,
        user.id,
    )


async def test_an_administrator_is_made_and_unmade(console, capsys):
    world = console.world
    user = await new_administrator(world)
    assert user.email in capsys.readouterr().out
    assert role_of(world, user) == [("owner",)]
    granted = await told(console, "administrator.grant", user.id)
    assert (granted.actor.id, granted.actor.type) == ("operator", "service")
    await revoke_admin(settings_of(world), user.email)
    assert role_of(world, user) == []
    await refused_soon(world, user)
    assert await told(console, "administrator.revoke", user.id)


async def test_only_the_owner_of_a_verified_address_is_made_one(console):
    world = console.world
    user = await world.signed_up(verified=False)
    with pytest.raises(Exception, match="not verified"):
        await grant_admin(settings_of(world), user.email)
    with pytest.raises(Exception, match="nobody has signed up with"):
        await grant_admin(settings_of(world), f"{uuid4().hex}@example.com")
    with pytest.raises(Exception, match="is no administrator"):
        await revoke_admin(settings_of(world), user.email)
    assert role_of(world, user) == []
