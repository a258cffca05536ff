"""What the database denies audit's own role, and what shows when its owner tampers."""

import base64

import grpc
import psycopg
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from tests.support.events import event, record_batch, settled
from tests.support.world import refusal

LOG_TABLES = ["entries", "entry_targets", "payloads", "tiles"]
OWN_TABLES = [*LOG_TABLES, "logs", "checkpoints", "subject_keys", "log_settings", "holds"]


async def user_with_events(world):
    user = await world.signed_up()
    await settled(world, user)
    await record_batch(world, user, [event() for _ in range(20)])
    return user


@pytest.fixture
async def user(world):
    """Whose log may be damaged."""
    return await user_with_events(world)


@pytest.fixture(scope="module")
async def bystander(world):
    """Whose log stays as it is."""
    return await user_with_events(world)


@pytest.fixture
def as_service(world, bystander):
    """A connection of the service's role, in the name of the bystander's organisation."""
    with psycopg.connect(world.database.service_url("audit"), autocommit=True) as connection:
        connection.execute(
            "SELECT set_config('audit.organisation_id', %s, false)", [bystander.organisation_id]
        )
        yield connection


@pytest.mark.parametrize("table", [*OWN_TABLES, "checkpoint_keys"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM audit.{}", "TRUNCATE audit.{}", "DROP TABLE audit.{}"]
)
async def test_the_service_cannot_take_log_rows_away(as_service, table, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_service.execute(statement.format(table))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.entries SET leaf_hash = ''",
        "UPDATE audit.payloads SET leaf = ''",
        "UPDATE audit.checkpoints SET note = ''",
        "UPDATE audit.checkpoint_keys SET sealed_private_key = ''",
        "UPDATE audit.subject_keys SET subject_id = ''",
        "UPDATE audit.holds SET reason = ''",
        "UPDATE audit.tiles SET root = ''",
        "UPDATE audit.payloads SET disclosures = ''",
        "UPDATE audit.logs SET organisation_id = gen_random_uuid()",
        "ALTER TABLE audit.entries DISABLE ROW LEVEL SECURITY",
        "SELECT * FROM auth.users",
        "CREATE TABLE audit.mine ()",
    ],
)
async def test_the_service_cannot_change_log_rows_or_look_elsewhere(as_service, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_service.execute(statement)


@pytest.mark.parametrize("change", ["size = 0", "size = size - 1", "size = size"])
async def test_the_head_only_moves_forward(as_service, change):
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="only grows"):
        as_service.execute(f"UPDATE audit.logs SET {change}")


async def test_auth_cannot_look_into_audit_nor_rewrite_who_is_who(world):
    with psycopg.connect(world.database.service_url("auth"), autocommit=True) as connection:
        for statement in (
            "SELECT * FROM audit.entries",
            "TRUNCATE auth.users CASCADE",
            "UPDATE auth.users SET id = gen_random_uuid()",
            "UPDATE auth.users SET created_at = now()",
            "UPDATE auth.signing_keys SET sealed_private_key = ''",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


async def test_row_security_shows_one_organisation_and_none_by_default(
    world, bystander, as_service
):
    await record_batch(world, bystander, [event() for _ in range(280)])  # so that there is a tile
    other = await world.new_user()
    await settled(world, other)
    for table in [*LOG_TABLES, "logs", "subject_keys"]:
        rows = as_service.execute(f"SELECT DISTINCT organisation_id::text FROM audit.{table}")
        assert rows.fetchall() == [(bystander.organisation_id,)]
    as_service.execute("SELECT set_config('audit.organisation_id', '', false)")
    for table in OWN_TABLES:
        assert as_service.execute(f"SELECT FROM audit.{table}").fetchall() == []


async def test_row_security_refuses_rows_of_another_organisation(as_service):
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        as_service.execute(
            "INSERT INTO audit.logs (organisation_id, size, compact_range)"
            " VALUES (gen_random_uuid(), 0, '')"
        )


@pytest.mark.parametrize("position", [1, 40, 300])
async def test_a_flipped_byte_in_a_stored_leaf_is_named(world, user, position):
    with world.database.connect() as connection:
        index, event_id = connection.execute(
            "UPDATE audit.payloads SET leaf = set_byte(leaf, %s, get_byte(leaf, %s) # 1)"
            " FROM audit.entries WHERE entries.organisation_id = payloads.organisation_id"
            " AND entries.log_index = payloads.log_index"
            " AND payloads.organisation_id = %s AND payloads.log_index = 17"
            " RETURNING entries.log_index, entries.event_id::text",
            [position, position, user.organisation_id],
        ).fetchone()
    call = world.events.GetEvent(
        audit_pb2.GetEventRequest(event_id=event_id), metadata=user.metadata
    )
    refused = await refusal(call)
    assert refused.reason == "LOG_DAMAGED"
    assert refused.metadata == {"log_index": str(index), "event_id": event_id}
    assert "entry 17" in refused.message
    listing = world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=user.metadata)
    for _ in range(10):
        try:
            page = await listing
        except Exception:  # noqa: BLE001
            break
        listing = world.events.ListEvents(
            audit_pb2.ListEventsRequest(page_token=page.next_page_token), metadata=user.metadata
        )
    else:
        pytest.fail("the listing passed over a damaged entry")


@pytest.mark.parametrize("position", [0, 5, 16, 17, 19, 30, 110, 111, 140, 300])
async def test_a_changed_disclosure_is_named(world, user, position):
    with world.database.connect() as connection:
        changed = connection.execute(
            "UPDATE audit.payloads"
            " SET disclosures = set_byte(disclosures, %s, get_byte(disclosures, %s) # 1)"
            " WHERE organisation_id = %s AND log_index = 5",
            [position, position, user.organisation_id],
        )
        assert changed.rowcount == 1
        (event_id,) = connection.execute(
            "SELECT event_id::text FROM audit.entries WHERE organisation_id = %s AND log_index = 5",
            [user.organisation_id],
        ).fetchone()
    call = world.events.GetEvent(
        audit_pb2.GetEventRequest(event_id=event_id), metadata=user.metadata
    )
    refused = await refusal(call)
    assert refused.reason == "LOG_DAMAGED"
    assert refused.metadata["log_index"] == "5"


async def test_disclosures_that_were_taken_away_are_damage(world, user):
    with world.database.connect() as connection:
        (event_id,) = connection.execute(
            "UPDATE audit.payloads SET disclosures = '' FROM audit.entries"
            " WHERE entries.organisation_id = payloads.organisation_id"
            " AND entries.log_index = payloads.log_index"
            " AND payloads.organisation_id = %s AND payloads.log_index = 9"
            " RETURNING entries.event_id::text",
            [user.organisation_id],
        ).fetchone()
    call = world.events.GetEvent(
        audit_pb2.GetEventRequest(event_id=event_id), metadata=user.metadata
    )
    assert (await refusal(call)).reason == "LOG_DAMAGED"


async def test_what_personal_data_says_is_not_in_the_database(world, user):
    marks = {
        "name": "Zebedee Quill",
        "email": "zq@quill.test",
        "agent": "Quillbrowser/9",
        "meta": "ink-well",
        "target": "Quill file",
    }
    await record_batch(
        world,
        user,
        [
            event(
                actor=audit_pb2.Actor(id="u_9", name=marks["name"], email=marks["email"]),
                targets=[audit_pb2.Target(id="t_9", name=marks["target"])],
                user_agent=marks["agent"],
                metadata={"note": marks["meta"]},
            )
        ],
    )
    with world.database.connect() as connection:
        rows = connection.execute(
            "SELECT encode(leaf || disclosures, 'escape') FROM audit.payloads"
            " WHERE organisation_id = %s",
            [user.organisation_id],
        ).fetchall()
    stored = "".join(row[0] for row in rows)
    assert "u_9" in stored
    for mark in marks.values():
        for spelling in (mark, base64.b64encode(mark.encode()).decode()[:8]):
            assert spelling not in stored


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("DELETE FROM audit.entries WHERE organisation_id = %s AND log_index = 290", 301),
        ("DELETE FROM audit.tiles WHERE organisation_id = %s AND tile_index = 0", 5),
    ],
)
async def test_a_missing_row_is_damage_and_no_crash(world, user, statement, index):
    await record_batch(world, user, [event() for _ in range(280)])
    with world.database.connect() as connection:
        assert connection.execute(statement, [user.organisation_id]).rowcount == 1
    call = world.log.GetInclusionProof(
        audit_pb2.GetInclusionProofRequest(log_index=index), metadata=user.metadata
    )
    refused = await refusal(call)
    assert refused.code is grpc.StatusCode.DATA_LOSS
    assert refused.reason == "LOG_DAMAGED"
