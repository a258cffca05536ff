"""Tiles above the lowest level, which a log has from 65,536 entries on."""

import psycopg
import pytest

from smart_audit.audit.integrity.database import verify_database
from smart_audit.audit.integrity.findings import Watch
from tests.integrity.making import SECRETS
from tests.support.events import event, record_batch, settled
from tests.support.world import running_world

pytestmark = pytest.mark.soak

CHANGES = {
    "UPDATE audit.tiles SET hashes = set_byte(hashes, 77, get_byte(hashes, 77) # 4)"
    " WHERE level = 1": {("tiles", "level 1, tile 0")},
    "UPDATE audit.tiles SET root = sha256(root) WHERE level = 1": {("tiles", "level 1, tile 0")},
    "DELETE FROM audit.tiles WHERE level = 1": {("tiles", "level 1, tile 0")},
    "INSERT INTO audit.tiles SELECT organisation_id, 2, 0, hashes, root FROM audit.tiles"
    " WHERE level = 1": {("tiles", "level 2, tile 0")},
    "UPDATE audit.tiles SET level = 3 WHERE level = 1": {
        ("tiles", "level 1, tile 0"),
        ("tiles", "level 3, tile 0"),
    },
    "DELETE FROM audit.entries WHERE log_index BETWEEN 300 AND 310": {
        ("entries", "log indexes 300 to 310"),
        ("payloads", "log index 300"),
    },
}


@pytest.fixture(scope="module")
async def connection(cluster):
    database = cluster.new_database()
    async with running_world(database) as world:
        user = await world.new_user()
        await settled(world, user)
        for _ in range(66):
            await record_batch(world, user, [event(targets=[], metadata={}) for _ in range(1000)])
    async with await psycopg.AsyncConnection.connect(
        database.owner_url, autocommit=True
    ) as connection:
        yield connection


async def places(connection):
    return {(one.table, one.place) async for one in verify_database(connection, SECRETS, Watch())}


async def test_a_log_of_many_entries_has_nothing_wrong(connection):
    assert await places(connection) == set()


@pytest.mark.parametrize("statement", CHANGES)
async def test_a_change_is_found_where_it_is(connection, statement):
    async with connection.transaction(force_rollback=True):
        await connection.execute("SET LOCAL session_replication_role = replica")
        assert (await connection.execute(statement)).rowcount > 0
        found = await places(connection)
    assert found >= CHANGES[statement]
    # What could be known again by the tiles around is right.
    assert {one for one in found if one[0] == "tiles"} <= CHANGES[statement]
