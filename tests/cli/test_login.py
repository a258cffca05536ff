"""Logging in: what is kept and how, that it renews itself, and that a logout ends it."""

import asyncio
import json
import stat
import tomllib
from pathlib import Path

from smart_audit.api.auth.v1 import auth_pb2
from tests.support.events import settled
from tests.support.factors import with_app
from tests.support.machines import machines_of
from tests.support.world import PASSWORD, refusal


def kept(cli):
    """What the profile `default` is logged in with."""
    path = Path(cli.environment["SMART_AUDIT_CONFIG_DIR"]) / "credentials.toml"
    return tomllib.loads(path.read_text()).get("profiles", {}).get("default"), path


async def test_a_login_is_kept_for_its_owner_alone(at_home, user):
    held, path = kept(at_home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert held["refresh_token"]
    known = await at_home.run("whoami", "-o", "json")
    said = json.loads(known.out)
    assert (said["user"]["email"], said["by"]) == (user.email, "session")
    assert held["access_token"] not in known.out + known.err


async def test_a_second_factor_is_asked_for(cli, world, user):
    app = await with_app(world, user)
    home = {"SMART_AUDIT_TOKEN": None}
    asked = f"{PASSWORD}\n{app.code()}\n".encode()
    assert (await cli.run("login", "--email", user.email, stdin=asked, **home)).code == 0
    assert (await cli.run("whoami", **home)).code == 0


async def test_a_wrong_password_ends_with_4_and_keeps_nothing(cli, user):
    home = {"SMART_AUDIT_TOKEN": None}
    refused = await cli.run("login", "--email", user.email, stdin=b"wrong password\n", **home)
    assert (refused.code, refused.out) == (4, "")
    result = await cli.run("whoami", **home)
    assert (result.code, result.out) == (4, "")
    assert result.err.endswith("smart-audit login\n")


async def test_a_logout_ends_the_session_and_forgets_it(at_home, world):
    held, _ = kept(at_home)
    assert (await at_home.run("logout")).code == 0
    assert kept(at_home)[0] is None
    assert (await at_home.run("whoami")).code == 4
    request = auth_pb2.RefreshTokenRequest(refresh_token=held["refresh_token"])
    assert (await refusal(world.auth.RefreshToken(request))).reason == "SESSION_ENDED"
    assert (await at_home.run("logout")).code == 4


async def test_what_cannot_be_ended_is_forgotten_all_the_same(at_home):
    _, path = kept(at_home)
    # Nobody listens there any more.
    gone = "localhost:9"
    path.write_text(path.read_text().replace(at_home.environment["SMART_AUDIT_ADDRESS"], gone))
    result = await at_home.run("logout", SMART_AUDIT_ADDRESS=gone)
    assert result.code == 1
    assert "the tokens are forgotten, but the session goes on" in result.err
    assert kept(at_home)[0] is None


async def test_processes_share_a_login_and_renew_it_once(at_home, world, user):
    held, path = kept(at_home)
    await settled(world, user)
    stale = path.read_text().replace(held["access_token"], "a.b.c")
    path.write_text(stale)
    results = await asyncio.gather(*(at_home.run("orgs", "get") for _ in range(3)))
    assert [one.code for one in results] == [0, 0, 0], [one.err for one in results]
    fresh, _ = kept(at_home)
    assert fresh["refresh_token"] != held["refresh_token"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await settled(world, user)
    found = await at_home.run("events", "list", "-f", "action=auth.refresh", "-o", "jsonl")
    assert len(found.out.splitlines()) == 1


async def test_the_environment_goes_before_the_profile(at_home, world):
    other = await world.new_user()
    known = await at_home.run("whoami", "-o", "json", SMART_AUDIT_TOKEN=other.access_token)
    said = json.loads(known.out)
    assert (said["user"]["email"], said["by"]) == (other.email, "access token of the environment")


async def test_what_a_profile_holds_goes_to_its_own_gateway_alone(at_home):
    result = await at_home.run("whoami", "--address", "localhost:9")
    assert (result.code, result.out) == (4, "")
    assert "not logged in at localhost:9" in result.err


async def test_an_api_key_logs_in(cli, world, user):
    async with machines_of(world) as machines:
        key = await machines.new_machine(user)
    home = {"SMART_AUDIT_TOKEN": None}
    done = await cli.run("login", "--api-key", stdin=f"{key.secret}\n".encode(), **home)
    assert (done.code, done.out) == (0, "")
    said = json.loads((await cli.run("whoami", "-o", "json", **home)).out)
    assert (said["service_account"], said["by"]) == (key.account_id, "api key")
    assert said["scopes"] == ["events.read", "events.record"]
    assert (await cli.run("logout", **home)).code == 0
    assert (await cli.run("whoami", **home)).code == 4
    wrong = await cli.run("login", "--api-key", stdin=f"{key.secret}x\n".encode(), **home)
    assert wrong.code == 4


async def test_profiles_are_named_listed_and_chosen(cli, user, gateway):
    home = {"SMART_AUDIT_TOKEN": None, "SMART_AUDIT_ADDRESS": None}
    asked = f"{PASSWORD}\n".encode()
    login = ("login", "--email", user.email, "--profile", "work", "--address", gateway.address)
    assert (await cli.run(*login, stdin=asked, **home)).code == 0
    assert (await cli.run("config", "use", "work", **home)).code == 0
    assert (await cli.run("whoami", **home)).code == 0
    listed = json.loads((await cli.run("config", "list", "-o", "json", **home)).out)
    assert listed == [
        {
            "name": "work",
            "default": True,
            "address": gateway.address,
            "ca_file": "",
            "logged_in": True,
        }
    ]
    got = await cli.run("config", "get", "address", **home)
    assert got.out == f"{gateway.address}\n"
    assert (await cli.run("config", "set", "address", "nowhere", **home)).code == 2
    assert (await cli.run("config", "get", "colour", **home)).code == 2
    assert (await cli.run("config", "remove", "work", **home)).code == 2
    assert (await cli.run("config", "remove", "work", "--yes", **home)).code == 0
    assert (await cli.run("config", "remove", "work", "--yes", **home)).code == 3


async def test_a_file_that_others_may_read_is_not_used(at_home):
    _, path = kept(at_home)
    path.chmod(0o644)
    result = await at_home.run("whoami")
    assert (result.code, result.out) == (2, "")
    assert f"chmod 600 {path}" in result.err


async def test_a_token_for_others_is_fresh(at_home):
    held, _ = kept(at_home)
    assert (await at_home.run("token")).out == f"{held['access_token']}\n"
