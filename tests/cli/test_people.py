"""`smart-audit orgs`, `keys` and `users`: what is done to people and machines."""

import json

import pytest

from tests.support.administrators import as_administrator, new_administrator


async def test_an_organisation_is_made_and_entered(at_home):
    made = await at_home.run("orgs", "create", "Engines", "-o", "json")
    assert made.code == 0, made.err
    assert (await at_home.run("orgs", "switch", "Engines")).code == 0
    assert json.loads((await at_home.run("orgs", "get", "-o", "json")).out)["name"] == "Engines"
    listed = json.loads((await at_home.run("orgs", "list", "-o", "json")).out)
    assert [one["current"] for one in listed if one["organisation"]["name"] == "Engines"] == [True]
    assert (await at_home.run("orgs", "switch", "Nowhere")).code == 3
    assert (await at_home.run("orgs", "rename", "Difference Engines", "-q")).err == ""


async def test_people_are_invited_and_the_invitation_withdrawn(cli, user):
    invited = await cli.run(
        "orgs", "invite", "grace@example.com", "--role", "auditor", "-o", "json"
    )
    assert invited.code == 0, invited.err
    listed = (await cli.run("orgs", "invitations", "-o", "jsonl")).out.splitlines()
    assert [json.loads(one)["role"] for one in listed] == ["auditor"]
    assert (await cli.run("orgs", "withdraw", json.loads(invited.out)["id"])).code == 0
    assert (await cli.run("orgs", "invitations", "-o", "jsonl")).out == ""
    members = (await cli.run("orgs", "members", "-o", "csv")).out
    assert f"{user.email},Ada,Lovelace,owner," in members
    # Nobody can be asked here, and there is no other owner.
    assert (await cli.run("orgs", "remove", user.email)).code == 2
    assert (await cli.run("orgs", "set-role", "nobody@example.com", "admin")).code == 3


async def test_an_api_key_is_made_replaced_and_revoked(cli):
    made = await cli.run("keys", "create", "billing", "--scope", "events.record", "-o", "json")
    assert made.code == 0, made.err
    key = json.loads(made.out)
    machine = {"SMART_AUDIT_TOKEN": None, "SMART_AUDIT_API_KEY": key["key"]}
    send = ("events", "send", "invoice.pay", "--actor", "billing", "-o", "jsonl")
    assert (await cli.run(*send, **machine)).code == 0
    assert (await cli.run("events", "list", **machine)).code == 4
    listed = await cli.run("keys", "list", "billing", "-o", "jsonl")
    assert key["key"] not in listed.out
    assert json.loads(listed.out)["prefix"] == key["prefix"]
    new = await cli.run("keys", "rotate", key["prefix"], "--overlap", "0", "-o", "json")
    assert json.loads(new.out)["key"] != key["key"]
    assert (await cli.run("keys", "revoke", key["prefix"])).code == 2
    new_key = json.loads(new.out)["key"]
    assert (await cli.run("keys", "revoke", json.loads(new.out)["id"], "--yes")).code == 0
    assert (await cli.run(*send, **{**machine, "SMART_AUDIT_API_KEY": new_key})).code == 4
    assert (await cli.run("keys", "list", "nobody")).code == 3


@pytest.fixture
async def administrator(world):
    """An access token of somebody who administers the installation."""
    session = await world.login((await new_administrator(world)).email)
    return (await as_administrator(world, session)).access_token


async def test_users_are_kept_out_and_let_in(cli, user, administrator):
    async def run(*arguments):
        return await cli.run("users", *arguments, SMART_AUDIT_TOKEN=administrator)

    shown = json.loads((await run("get", user.email, "-o", "json")).out)
    assert shown["user"]["id"] == user.id
    assert (await run("deactivate", user.email)).code == 2
    assert (await run("deactivate", user.email, "--yes")).code == 0
    listed = (await run("list", "--search", user.email, "--deactivated", "-o", "jsonl")).out
    assert json.loads(listed)["state"] == "USER_STATE_DEACTIVATED"
    assert (await cli.run("whoami")).code == 4
    assert (await run("reactivate", user.email, "--quiet")).err == ""
    assert (await run("get", "nobody@example.com")).code == 3
