"""`smart-audit verify log` believes nothing, and names the place of what is wrong."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.cli.conftest import Cli
from tests.cli.logs import execute, forge, make_leaf, make_leaves, public_log, record_many
from tests.support.events import event, record_batch, settled
from tests.support.governance import (
    Clock,
    another_time,
    erase,
    own_events,
    running_at,
    until,
    update_settings,
)
from tests.support.logs import PUBLIC, fill_log, open_to

PAYLOAD = "FROM audit.payloads WHERE log_index = %s AND organisation_id = %s"


@pytest.fixture
async def user(world):
    """Whose log begins with a signup and a login."""
    return await world.signed_up()


@pytest.fixture
async def logged(world, user):
    """A log of 42 events. Gives the ids by log index."""
    return await record_many(world, user, 40)


def said(result):
    """What the verdict says, by its first words."""
    return dict(line.split(maxsplit=1) for line in result.out.splitlines())


async def test_a_whole_log_is_verified(cli, logged, user):
    result = await cli.run("verify", "log")
    assert (result.code, result.err) == (0, "")
    verdict = said(result)
    assert verdict["verified"] == f"42 entries of localhost/smart-audit/{user.organisation_id}"
    assert verdict["shown"] == "42 events as the entries say"
    assert list(verdict) == ["verified", "root", "key", "trust", "shown", "state"]


@pytest.mark.parametrize("size", [0, 1, 700])
async def test_a_public_log_needs_no_token(cli, world, size):
    organisation_id = public_log(world, size)[0]
    result = await cli.run("verify", "log", "--log", organisation_id, SMART_AUDIT_TOKEN=None)
    assert (result.code, result.err) == (0, "")
    entries = "1 entry" if size == 1 else f"{size} entries"
    assert said(result)["verified"] == f"{entries} of localhost/smart-audit/{organisation_id}"
    assert "shown" not in result.out


async def test_a_log_may_be_named_by_its_whole_name(cli, world):
    organisation_id = public_log(world, 3)[0]
    name = f"localhost/smart-audit/{organisation_id}"
    assert (await cli.run("verify", "log", "--log", name)).code == 0


async def test_the_largest_entries_are_verified(cli, world):
    organisation_id = str(uuid4())
    targets = [{"id": "x" * 512, "type": "t" * 128} for _ in range(64)]
    leaf = make_leaf(organisation_id, 0, targets=targets, outcome_reason="y" * 22_500)
    assert 64_000 < len(leaf) < 65_536
    fill_log(world.database, organisation_id, [leaf] * 256)
    open_to(world.database, organisation_id, PUBLIC)
    result = await cli.run("verify", "log", "--log", organisation_id)
    assert (result.code, result.err) == (0, "")


async def test_a_log_of_members_needs_their_token(cli, world, user, logged):
    own = await cli.run("verify", "log", "--log", user.organisation_id)
    assert (own.code, said(own)["shown"]) == (0, "42 events as the entries say")
    nobody = await cli.run("verify", "log", "--log", user.organisation_id, SMART_AUDIT_TOKEN=None)
    assert (nobody.code, nobody.out) == (4, "")
    assert "TOKEN_MISSING" in nobody.err
    other = await world.signed_up()
    stranger = await cli.run(
        "verify", "log", "--log", user.organisation_id, SMART_AUDIT_TOKEN=other.access_token
    )
    assert (stranger.code, stranger.out) == (4, "")
    assert "LOG_FORBIDDEN" in stranger.err


@pytest.mark.parametrize(
    ("arguments", "token", "code", "sentence"),
    [
        ([], None, 2, "whose log? Give a token, or the organisation of a public log by --log"),
        (["--log", "mine"], None, 2, "--log: 'mine' names no organisation"),
        (["--key", "x"], None, 2, "whose log?"),
        (["--key", "x", "--log", str(uuid4())], None, 2, "--key: "),
        ([], "a.b.c", 4, "the access token is malformed"),
        (["--since", "/nowhere"], ..., 5, "/nowhere: No such file or directory"),
        (["--address", "x"], ..., 2, "'x' is not an address"),
    ],
)
async def test_what_cannot_be_understood_is_refused(cli, arguments, token, code, sentence):
    given = {} if token is ... else {"SMART_AUDIT_TOKEN": token}
    result = await cli.run("verify", "log", *arguments, **given)
    assert (result.code, result.out) == (code, "")
    assert f"smart-audit: {sentence}" in result.err


async def test_events_need_not_be_held_against_their_entries(cli, world, user, logged):
    execute(
        world,
        user.organisation_id,
        "UPDATE audit.payloads SET disclosures = '' WHERE log_index = %s AND organisation_id = %s",
        17,
    )
    result = await cli.run("verify", "log", "--no-events")
    assert (result.code, "shown" in result.out) == (0, False)


@pytest.mark.parametrize("index", [5, 41])
async def test_a_changed_leaf_is_named_by_its_place(cli, world, user, logged, index):
    execute(
        world,
        user.organisation_id,
        "UPDATE audit.payloads SET leaf = set_byte(leaf, 20, get_byte(leaf, 20) # 1)"
        " WHERE log_index = %s AND organisation_id = %s",
        index,
    )
    result = await cli.run("verify", "log")
    assert (result.code, result.out) == (6, "")
    assert f"entry {index}: " in result.err
    assert result.err.endswith(
        f"verification failed: 1 fault in localhost/smart-audit/{user.organisation_id}\n"
    )


async def test_a_changed_disclosure_is_named_by_its_place(cli, world, user, logged):
    execute(
        world,
        user.organisation_id,
        "UPDATE audit.payloads SET disclosures = set_byte(disclosures, 60, 7)"
        " WHERE log_index = %s AND organisation_id = %s",
        17,
    )
    result = await cli.run("verify", "log")
    assert result.code == 6
    assert "entry 17: " in result.err


async def test_an_entry_taken_away_is_named_by_its_place(cli, world, user, logged):
    execute(
        world,
        user.organisation_id,
        "DELETE FROM audit.entries WHERE log_index = %s AND organisation_id = %s",
        40,
    )
    result = await cli.run("verify", "log")
    assert result.code == 6
    assert "tile/0/000.p/42: " in result.err


async def test_a_rewritten_entry_with_a_fitting_hash_is_found(cli, world, user):
    """The attacker changes leaf, hash and tile together; the tile above knows better."""
    await record_many(world, user, 298)
    forge(world, user.organisation_id, 13)
    result = await cli.run("verify", "log")
    assert result.code == 6
    assert "tile/1/000.p/1: hash 0 is not the root of tile/0/000" in result.err


async def test_a_rewritten_entry_behind_the_last_full_tile_is_found(cli, world, user, logged):
    forge(world, user.organisation_id, 30)
    result = await cli.run("verify", "log")
    assert result.code == 6
    assert "checkpoint: the entries make another root than the one signed" in result.err


async def test_a_changed_tile_is_named_by_its_path(cli, world):
    organisation_id = public_log(world, 600)[0]
    execute(
        world,
        organisation_id,
        "UPDATE audit.tiles SET root = set_byte(root, 3, get_byte(root, 3) # 1)"
        " WHERE tile_index = %s AND organisation_id = %s",
        1,
    )
    result = await cli.run("verify", "log", "--log", organisation_id)
    assert result.code == 6
    assert "tile/1/000.p/2: hash 1 is not the root of tile/0/001" in result.err


async def test_a_leaf_that_is_of_no_log_or_of_another_is_named(cli, world):
    organisation_id = str(uuid4())
    leaves = make_leaves(organisation_id, 300)
    leaves[7] = b"{}"
    leaves[270] = make_leaf(str(uuid4()), 1)
    leaves[280] = make_leaf(organisation_id, 1, version=2)
    fill_log(world.database, organisation_id, leaves)
    open_to(world.database, organisation_id, PUBLIC)
    result = await cli.run("verify", "log", "--log", organisation_id)
    assert result.code == 6
    first, second, third, last = result.err.splitlines()
    assert first.startswith("entry 7: it is not an entry of the log format: ")
    assert second == "entry 270: its leaf is of another organisation"
    assert third.startswith("entry 280: it is not an entry of the log format: ")
    assert last.startswith("smart-audit: verification failed: 3 faults in ")


async def test_many_faults_are_counted_and_not_all_shown(cli, world):
    organisation_id = str(uuid4())
    fill_log(world.database, organisation_id, [b"%d" % number for number in range(300)])
    open_to(world.database, organisation_id, PUBLIC)
    result = await cli.run("verify", "log", "--log", organisation_id)
    assert result.code == 6
    *faults, more, last = result.err.splitlines()
    assert [line.split(":")[0] for line in faults] == [f"entry {number}" for number in range(20)]
    assert (more, "300 faults" in last) == ("and 280 more", True)


async def test_an_erased_person_leaves_the_log_whole(cli, world, user, logged):
    await erase(world, user, "u_1")
    result = await cli.run("verify", "log")
    assert (result.code, result.err) == (0, "")
    found = re.fullmatch(
        r"(\d+) events as the entries say; (\d+) fields of them erased or withheld",
        said(result)["shown"],
    )
    assert found is not None
    assert int(found[1]) == 43
    assert int(found[2]) >= 40


async def test_entries_that_retention_took_are_counted(cli, world, user):
    await record_many(world, user, 600)
    organisation_id = user.organisation_id
    for index in (3, 4, 300):
        execute(world, organisation_id, f"DELETE {PAYLOAD}", index)
    own = await cli.run("verify", "log")
    assert (own.code, own.err) == (0, "")
    assert said(own)["expired"].startswith("3 entries: ")
    assert said(own)["shown"] == "599 events as the entries say"
    open_to(world.database, organisation_id, PUBLIC)
    foreign = await cli.run("verify", "log", "--log", organisation_id, SMART_AUDIT_TOKEN=None)
    # To a stranger a bundle is there or it is not.
    assert (foreign.code, foreign.err) == (0, "")
    assert said(foreign)["expired"].startswith("512 entries: ")


async def test_a_log_after_retention_is_whole(cluster, tmp_path):
    clock, often = Clock(), timedelta(milliseconds=50)
    async with running_at(clock, cluster.new_database(), retention_every=often) as world:
        user = await world.signed_up()
        await settled(world, user)
        async with another_time(clock, world, datetime.now(UTC) - timedelta(days=10)):
            await record_batch(world, user, [event() for _ in range(300)])
        await record_batch(world, user, [event() for _ in range(50)])
        await update_settings(world, user, retention_days=5)
        await until(lambda: own_events(world, user, "log.retention.run"))
        cli = Cli(
            {
                "SMART_AUDIT_ADDRESS": f"127.0.0.1:{world.audit_port}",
                "SMART_AUDIT_TOKEN": user.access_token,
                "SMART_AUDIT_STATE_DIR": str(tmp_path),
            }
        )
        result = await cli.run("verify", "log")
    assert (result.code, result.err) == (0, "")
    assert said(result)["expired"].startswith("300 entries: ")
    # Signup, login, the later events, the new settings, the run of retention, that it was read of.
    assert said(result)["shown"] == "55 events as the entries say"


@pytest.mark.soak
async def test_a_changed_hash_is_found_where_the_entry_has_expired(cli, world):
    organisation_id = public_log(world, 300)[0]
    execute(world, organisation_id, f"DELETE {PAYLOAD}", 3)
    execute(
        world,
        organisation_id,
        "UPDATE audit.tiles SET hashes = overlay(hashes placing '\\x00' from 1)"
        " WHERE tile_index = %s AND organisation_id = %s",
        0,
    )
    result = await cli.run("verify", "log", "--log", organisation_id)
    assert result.code == 6
    assert "tile/1/000.p/1: hash 0 is not the root of tile/0/000" in result.err


async def test_what_is_recorded_meanwhile_is_left_for_the_next_time(cli, world, user, logged):
    """The checkpoint comes first; the listing then shows more than it covers."""
    await cli.run("verify", "log")
    await record_batch(world, user, [event() for _ in range(10)])
    result = await cli.run("verify", "log")
    # The first listing is an event, too.
    assert said(result)["shown"] == "53 events as the entries say"
    assert said(result)["extends"].startswith("42 entries, by the check of ")
