"""Logs for `verify log`: of events of the wire, or of leaves made here and written by SQL.

And its check without its process, for tests that take many.
"""

from hashlib import sha256
from secrets import token_urlsafe
from uuid import uuid4

from smart_audit.client.connection import Connection, Session
from smart_audit.client.log.check import Progress, check_log
from smart_audit.client.log.files import LogFiles
from smart_audit.client.log.trust import open_log
from smart_audit.client.verification import VerificationError
from smart_audit.tlog.disclosure import new_disclosure
from smart_audit.tlog.leaf import build_leaf
from tests.support.events import event, record_batch, settled
from tests.support.logs import PUBLIC, fill_log, open_to


async def record_many(world, user, count):
    """Record events behind the user's own. Gives the ids by log index."""
    await settled(world, user)
    results = await record_batch(world, user, [event() for _ in range(count)])
    assert all(result.HasField("receipt") for result in results)
    return {one.receipt.proof.log_index: one.receipt.event_id for one in results}


def execute(world, organisation_id, statement, *values, count=1):
    """Change rows of a log as somebody with all rights over the database could."""
    with world.database.connect() as connection:
        done = connection.execute(statement, (*values, organisation_id))
        assert done.rowcount == count


def make_leaf(organisation_id, number, **facts):
    """A leaf as the service would make it."""
    stated = {
        "version": 1,
        "id": str(uuid4()),
        "organisation_id": organisation_id,
        "action": f"document.read.{number}",
        "actor": {"id": f"u_{number}", "type": "user"},
        "outcome": "success",
        "occurred_at": "2026-02-03T04:05:06.000007Z",
        "recorded_at": "2026-02-03T04:05:06.800000Z",
        "recorded_by": "u_1",
        **facts,
    }
    return build_leaf(stated, [new_disclosure("actor.name", "Ada", token_urlsafe(16))])


def make_leaves(organisation_id, count):
    return [make_leaf(organisation_id, number) for number in range(count)]


def public_log(world, count):
    """A log that anybody may read; gives (organisation, its leaves)."""
    organisation_id = str(uuid4())
    leaves = make_leaves(organisation_id, count)
    fill_log(world.database, organisation_id, leaves)
    open_to(world.database, organisation_id, PUBLIC)
    return organisation_id, leaves


def rewrite(world, organisation_id, leaves):
    """Write a log anew, as if it had always been so; its service signs it on demand."""
    with world.database.connect() as connection:
        for table in ("tiles", "payloads", "entries", "checkpoints", "logs"):
            connection.execute(
                f"DELETE FROM audit.{table} WHERE organisation_id = %s", [organisation_id]
            )
    fill_log(world.database, organisation_id, leaves)


def forge(world, organisation_id, index):
    """Change an event, and wherever it is stored the hash of its leaf too."""
    place = [index, organisation_id]
    with world.database.connect() as connection:
        (leaf,) = connection.execute(
            "SELECT leaf FROM audit.payloads WHERE log_index = %s AND organisation_id = %s", place
        ).fetchone()
        forged = bytes(leaf).replace(b"document.", b"dogument.")
        hashed = sha256(b"\x00" + forged).digest()
        connection.execute(
            "UPDATE audit.payloads SET leaf = %s WHERE log_index = %s AND organisation_id = %s",
            [forged, *place],
        )
        connection.execute(
            "UPDATE audit.entries SET leaf_hash = %s WHERE log_index = %s AND organisation_id = %s",
            [hashed, *place],
        )
        connection.execute(
            "UPDATE audit.tiles SET hashes = overlay(hashes placing %s from %s)"
            " WHERE level = 0 AND tile_index = %s AND organisation_id = %s",
            [hashed, index % 256 * 32 + 1, index // 256, organisation_id],
        )


async def checked(address, organisation_id, *, token="", keys=(), earlier=()):
    """Check a log: (its verified checkpoint or None, a line for each thing that does not hold)."""
    async with Connection(address, Session(token)) as connection:
        progress = Progress(lambda _: None, lambda _: None)
        try:
            files = LogFiles(connection, organisation_id)
            signed = (await open_log(files, organisation_id, keys, None)).signed
            findings = await check_log(
                connection, organisation_id, signed, earlier, progress, shown=bool(token)
            )
        except VerificationError as error:
            return None, [str(error)]
    return signed, [str(fault) for fault in findings.faults]
