"""`smart-audit verify` believes nothing, and names the place of what is wrong."""

import pytest

from tests.support.events import event, record_batch, settled


@pytest.fixture
async def logged(world, user):
    """A log of 42 events. Gives the ids by log index."""
    return await record_many(world, user, 40)


async def record_many(world, user, count):
    await settled(world, user)
    messages = [event() for _ in range(count)]
    results = await record_batch(world, user, messages)
    assert all(result.HasField("receipt") for result in results)
    return {one.receipt.proof.log_index: one.receipt.event_id for one in results}


def execute(world, user, statement, *values):
    """Change the log as somebody with all rights over the database could."""
    with world.database.connect() as connection:
        done = connection.execute(statement, (*values, user.organisation_id))
        assert done.rowcount == 1


async def test_a_whole_log_is_verified(cli, logged):
    result = await cli.run("verify")
    assert (result.code, result.err) == (0, "")
    first, *rest = result.out.splitlines()
    assert first.startswith("verified 42 entries of ")
    assert [line.split()[0] for line in rest] == ["root", "key"]


async def test_a_changed_tile_breaks_the_proofs_that_need_it(cli, world, user):
    await record_many(world, user, 254)
    execute(
        world,
        user,
        "UPDATE audit.tiles SET hashes = overlay(hashes placing '\\x00' from 1)"
        " WHERE tile_index = %s AND organisation_id = %s",
        0,
    )
    result = await cli.run("verify")
    assert result.code == 6
    assert "log index 1, event" in result.err
    assert "verification failed" in result.err.splitlines()[-1]


async def test_a_log_is_verified_since_a_saved_checkpoint(cli, world, user, logged, tmp_path):
    saved, later = tmp_path / "first", tmp_path / "second"
    assert (await cli.run("verify", "--save", saved)).code == 0
    await record_batch(world, user, [event() for _ in range(10)])
    result = await cli.run("verify", "--since", saved, "--save", later)
    assert result.code == 0
    assert f"extends  {saved}" in result.out
    assert later.read_text().splitlines()[1] == "52"


async def test_a_saved_checkpoint_that_was_changed_is_refused(cli, logged, tmp_path):
    saved = tmp_path / "checkpoint"
    await cli.run("verify", "--save", saved)
    saved.write_text(saved.read_text().replace("42\n", "41\n", 1))
    result = await cli.run("verify", "--since", saved)
    assert result.code == 6
    assert "signature" in result.err


async def test_another_logs_checkpoint_is_refused(cli, world, logged, tmp_path):
    saved = tmp_path / "other"
    other = await world.new_user()
    assert (
        await cli.run("verify", "--save", saved, SMART_AUDIT_TOKEN=other.access_token)
    ).code == 0
    result = await cli.run("verify", "--since", saved)
    assert result.code == 6
    assert "verification failed" in result.err


async def test_a_file_that_is_no_checkpoint_is_invalid(cli, tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\xff\xfe")
    result = await cli.run("verify", "--since", path)
    assert result.code == 5
    assert f"{path} is not a checkpoint" in result.err


@pytest.mark.parametrize("index", [5, 41])
async def test_a_changed_leaf_is_named_by_its_place(cli, world, user, logged, index, tmp_path):
    execute(
        world,
        user,
        "UPDATE audit.entries SET leaf = set_byte(leaf, 20, get_byte(leaf, 20) # 1)"
        " WHERE log_index = %s AND organisation_id = %s",
        index,
    )
    saved = tmp_path / "checkpoint"
    result = await cli.run("verify", "--save", saved)
    assert result.code == 6
    assert f"log index {index}, event {logged[index]}: " in result.err
    assert not saved.exists()


async def test_a_changed_disclosure_is_named_by_its_place(cli, world, user, logged):
    execute(
        world,
        user,
        "UPDATE audit.disclosures SET disclosures[1] = disclosures[2]"
        " WHERE log_index = %s AND organisation_id = %s",
        17,
    )
    result = await cli.run("verify")
    assert result.code == 6
    assert f"log index 17, event {logged[17]}: " in result.err


async def test_an_entry_taken_away_is_named_by_its_place(cli, world, user, logged):
    execute(
        world, user, "DELETE FROM audit.entries WHERE log_index = %s AND organisation_id = %s", 40
    )
    result = await cli.run("verify")
    assert result.code == 6
    assert "log index 40: no event is listed for this entry" in result.err
    assert "1 fault in the log" in result.err


async def test_a_rewritten_entry_with_a_fitting_hash_is_named_by_its_place(cli, world, user):
    """The attacker changes leaf, hash and columns together; the tree still knows better."""
    logged = await record_many(world, user, 20)
    with world.database.connect() as connection:
        leaf, name = connection.execute(
            "SELECT leaf, action FROM audit.entries WHERE organisation_id = %s AND log_index = 13",
            (user.organisation_id,),
        ).fetchone()
        connection.execute(
            "UPDATE audit.entries SET action = 'document.create', leaf = %s,"
            " leaf_hash = sha256(%s) WHERE organisation_id = %s AND log_index = 13",
            (
                forged := bytes(leaf).replace(name.encode(), b"document.create"),
                b"\x00" + forged,
                user.organisation_id,
            ),
        )
    result = await cli.run("verify")
    assert result.code == 6
    assert f"log index 13, event {logged[13]}: " in result.err
