"""What was verified once is remembered: a log that was rolled back or forked contradicts it."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smart_audit.client.log.memory import Memory, MemoryFault
from smart_audit.client.log.trust import Earlier
from tests.cli.conftest import Cli
from tests.cli.logs import checked, make_leaves, public_log, record_many, rewrite
from tests.support.events import event, record_batch
from tests.support.logs import record_no_reads
from tests.support.world import running_world


def state_file(cli, organisation_id):
    return Path(cli.environment["SMART_AUDIT_STATE_DIR"]) / "logs" / f"{organisation_id}.json"


async def test_the_state_is_the_owners_alone(cli, world):
    organisation_id = public_log(world, 10)[0]
    result = await cli.run("verify", "log", "--log", organisation_id)
    path = state_file(cli, organisation_id)
    assert result.out.splitlines()[-1] == f"state    {path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]


async def test_by_default_it_lies_in_the_users_state_folder(cli, world, tmp_path):
    organisation_id = public_log(world, 10)[0]
    result = await cli.run(
        "verify", "log", "--log", organisation_id,
        SMART_AUDIT_STATE_DIR=None, XDG_STATE_HOME=str(tmp_path / "xdg"),
    )  # fmt: skip
    assert result.code == 0
    assert (tmp_path / "xdg" / "smart-audit" / "logs" / f"{organisation_id}.json").is_file()


async def test_nothing_is_remembered_when_it_is_not_wanted(cli, world):
    organisation_id = public_log(world, 10)[0]
    result = await cli.run("verify", "log", "--log", organisation_id, "--no-state")
    assert (result.code, "state" in result.out) == (0, False)
    assert not state_file(cli, organisation_id).exists()


@pytest.mark.soak
async def test_a_restored_backup_is_a_rollback_and_what_follows_a_fork(cluster, tmp_path):
    """The database goes back to an older state; then life goes on, beyond where it was."""
    database = cluster.new_database()
    environment = {"SMART_AUDIT_STATE_DIR": str(tmp_path / "state")}

    async def verified(world, token):
        cli = Cli(environment | {"SMART_AUDIT_ADDRESS": f"127.0.0.1:{world.audit_port}"})
        return await cli.run("verify", "log", SMART_AUDIT_TOKEN=token)

    async with running_world(database) as world:
        user = await world.signed_up()
        record_no_reads(database, user.organisation_id)
        await record_many(world, user, 30)
        assert (await verified(world, user.access_token)).code == 0
    backup = cluster.new_database(database.name)
    async with running_world(database) as world:
        await record_batch(world, user, [event() for _ in range(300)])
        later = await verified(world, user.access_token)
        assert "extends  32 entries, by the check of " in later.out
    async with running_world(backup) as world:
        rolled_back = await verified(world, user.access_token)
        assert (rolled_back.code, rolled_back.out) == (6, "")
        assert (
            "checkpoint: the log was rolled back: it has 32 entries, and had 332 by the check "
            in (rolled_back.err)
        )
        await record_batch(world, user, [event() for _ in range(400)])
        forked = await verified(world, user.access_token)
        assert (forked.code, forked.out) == (6, "")
        assert "checkpoint: the log was forked: its first 332 entries make the root " in forked.err
        # What is remembered is the evidence: it stays.
        assert (await verified(world, user.access_token)).code == 6


@pytest.mark.parametrize("now", [300, 301, 555, 700])
@pytest.mark.parametrize("changed", [0, 290])
async def test_a_rewritten_log_is_a_fork(gateway, world, now, changed):
    organisation_id, leaves = public_log(world, 300)
    signed, _ = await checked(gateway.address, organisation_id)
    others = make_leaves(organisation_id, now)
    leaves[changed] = others[changed]
    rewrite(world, organisation_id, leaves + others[300:])
    _, (line,) = await checked(
        gateway.address, organisation_id, earlier=[Earlier(signed, "what was")]
    )
    assert "checkpoint: the log was forked: its first 300 entries make the root " in line


async def test_a_log_that_grew_extends_what_it_was(gateway, world):
    organisation_id, leaves = public_log(world, 0)
    earlier = []
    for size in (0, 1, 255, 255, 256, 257, 512, 700):
        leaves += make_leaves(organisation_id, size - len(leaves))
        rewrite(world, organisation_id, leaves)
        signed, found = await checked(gateway.address, organisation_id, earlier=earlier)
        assert (signed.size, found) == (size, [])
        earlier.append(Earlier(signed, "what was"))


async def test_a_checkpoint_from_elsewhere_counts_too(cli, gateway, world, tmp_path):
    organisation_id, leaves = public_log(world, 300)
    saved = tmp_path / "checkpoint"
    saved.write_bytes((await gateway.http.get(f"/v1/logs/{organisation_id}/checkpoint")).content)
    given = "verify", "log", "--log", organisation_id, "--no-state", "--since", saved
    result = await cli.run(*given)
    assert (result.code, f"extends  300 entries, by {saved}\n" in result.out) == (0, True)
    rewrite(world, organisation_id, leaves[:290])
    shorter = await cli.run(*given)
    assert shorter.code == 6
    assert f"it has 290 entries, and had 300 by {saved}, which is signed" in shorter.err
    rewrite(world, organisation_id, make_leaves(organisation_id, 310))
    assert f", and by {saved}, which is signed, they made " in (await cli.run(*given)).err


@pytest.mark.parametrize("content", [b"\xff\xfe", b"text\n"])
async def test_what_is_no_checkpoint_is_refused(cli, world, tmp_path, content):
    organisation_id = public_log(world, 3)[0]
    saved = tmp_path / "checkpoint"
    saved.write_bytes(content)
    result = await cli.run("verify", "log", "--log", organisation_id, "--since", saved)
    assert result.code in {5, 6}
    assert str(saved) in result.err
    assert not state_file(cli, organisation_id).exists()


async def test_another_logs_checkpoint_is_refused(cli, gateway, world, tmp_path):
    organisation_id, other = public_log(world, 3)[0], public_log(world, 3)[0]
    saved = tmp_path / "checkpoint"
    saved.write_bytes((await gateway.http.get(f"/v1/logs/{other}/checkpoint")).content)
    result = await cli.run("verify", "log", "--log", organisation_id, "--since", saved)
    assert result.code == 6
    assert "verification failed" in result.err


def _without(name):
    def change(content):
        del content[name]
        return json.dumps(content)

    return change


def _with(**members):
    return lambda content: json.dumps(content | members)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "[]",
        lambda _: "\udcff",
        lambda _: '{"version": 1',
        *map(_without, ("version", "keys", "checkpoint", "verified_at")),
        _with(version=2),
        _with(keys=[]),
        _with(keys="x"),
        _with(keys=[1]),
        _with(checkpoint=1),
        _with(verified_at="yesterday"),
        lambda content: json.dumps(
            content | {"checkpoint": content["checkpoint"].replace("\n3\n", "\n2\n")}
        ),
    ],
)
async def test_a_damaged_state_is_not_believed(gateway, world, tmp_path, change):
    organisation_id = public_log(world, 3)[0]
    memory = Memory(tmp_path)
    signed, _ = await checked(gateway.address, organisation_id)
    memory.keep(organisation_id, signed, datetime.now(UTC))
    assert memory.recall(organisation_id) is not None
    path = memory.path(organisation_id)
    changed = change(json.loads(path.read_text()))
    path.write_bytes(changed.encode(errors="surrogateescape"))
    with pytest.raises(MemoryFault, match="is not what was written there"):
        memory.recall(organisation_id)


async def test_a_damaged_state_is_named_with_a_remedy(cli, world):
    organisation_id = public_log(world, 3)[0]
    path = state_file(cli, organisation_id)
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    result = await cli.run("verify", "log", "--log", organisation_id)
    assert (result.code, result.out, path.read_text()) == (5, "", "{}")
    assert f"{path} is not what was written there" in result.err
    assert "remove the file" in result.err


async def test_a_state_that_cannot_be_written_is_an_error(cli, world, tmp_path):
    organisation_id = public_log(world, 3)[0]
    (tmp_path / "file").write_text("")
    result = await cli.run(
        "verify", "log", "--log", organisation_id, "--state-dir", tmp_path / "file"
    )
    assert (result.code, result.out) == (1, "")
    assert f"{tmp_path / 'file'}" in result.err


async def test_a_shorter_state_does_not_replace_a_longer_one(cli, gateway, world, tmp_path):
    """Two checks at the same time: the one that began earlier ends later."""
    organisation_id, leaves = public_log(world, 3)
    short, _ = await checked(gateway.address, organisation_id)
    rewrite(world, organisation_id, leaves + make_leaves(organisation_id, 3))
    long, _ = await checked(gateway.address, organisation_id)
    memory = Memory(tmp_path)
    for one in (long, short):
        memory.keep(organisation_id, one, datetime.now(UTC))
    remembered = memory.recall(organisation_id)
    assert remembered is not None
    assert remembered.signed.size == 6
