"""What search reads follows the log, forgets who is erased, and can be made anew."""

import asyncio
from uuid import uuid4

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2, governance_pb2
from smart_audit.audit.rebuilding import rebuild_search
from smart_audit.audit.settings import AuditSettings
from smart_audit.audit.terms import TermKey, asked_words, words
from tests.support.events import event, record, record_batch, settled
from tests.support.logs import fill_log
from tests.support.world import running_world

ROWS = """
SELECT log_index, occurred_at, phrase_id, actor_id, address, terms, public_terms
FROM audit.search_events WHERE organisation_id = %s ORDER BY log_index
"""
BEHIND = """
SELECT logs.size > coalesce(done.size, 0) FROM audit.logs
LEFT JOIN audit.projections AS done USING (organisation_id) WHERE organisation_id = %s
"""


async def rows(world, organisation_id):
    """The projection of a log, once it is level with it."""

    def read():
        with world.database.connect() as connection:
            behind = connection.execute(BEHIND, [organisation_id]).fetchone()
            found = connection.execute(ROWS, [organisation_id]).fetchall()
        return None if behind is None or behind[0] else found

    async with asyncio.timeout(20):
        while (found := await asyncio.to_thread(read)) is None:
            await asyncio.sleep(0.01)
    return found


async def new_user(world):
    user = await world.new_user()
    await settled(world, user)
    return user


@pytest.fixture
async def user(world):
    return await new_user(world)


async def test_each_event_of_the_log_is_projected_once(world, user):
    await record_batch(world, user, [event(action="door.open") for _ in range(30)])
    await record(world, user, event(action="door.close"))
    found = await rows(world, user.organisation_id)
    assert [row[0] for row in found] == list(range(len(found)))
    assert len({row[2] for row in found[-31:]}) == 2, "two kinds of event are two phrases"


async def test_nothing_personal_stands_there_in_plain(world, user):
    secret = "Kolmogorov"
    await record(world, user, event(actor={"id": "u_7", "name": secret}, metadata={"x": secret}))
    await rows(world, user.organisation_id)
    with world.database.connect() as connection:
        for table in ("search_events", "phrases", "phrase_vectors"):
            found = connection.execute(
                f"SELECT count(*) FROM audit.{table} AS t WHERE t::text ~* %s", [secret]
            )
            assert found.fetchone() == (0,)


async def test_an_erasure_takes_away_the_terms_of_what_it_closes_and_no_others(world, user):
    named = {"id": "u_8", "name": "Sofya Kovalevskaya"}
    await record(world, user, event(actor=named, source_address="192.0.2.8"))
    await record(world, user, event(actor={"id": "u_9", "name": "Emmy Noether"}))
    before = await rows(world, user.organisation_id)
    await world.governance.EraseSubject(
        governance_pb2.EraseSubjectRequest(
            subject=governance_pb2.Subject(type="user", id="u_8"), reason="asked for it"
        ),
        metadata=user.metadata,
    )
    after = await rows(world, user.organisation_id)
    erased, other = before[-2], before[-1]
    assert after[: len(before) - 2] == before[:-2]
    assert after[len(before) - 1] == other
    (_, *same, address, terms, public) = after[len(before) - 2]
    assert address is None
    assert same == list(erased[1:4])
    assert terms == erased[5][: erased[6]]
    assert public == erased[6]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GetSecretValue", ["getsecretvalue", "get", "secret", "value"]),
        ("iam.CreateUser", ["iam", "createuser", "create", "user"]),
        ("ada@example.com", ["ada", "example", "com"]),
        ("i-0abc12", ["i", "0abc12"]),
        ("EC2 HTTPServer", ["ec2", "ec", "2", "httpserver", "http", "server"]),
        ("Straße ΑΒΓ", ["strasse", "αβγ"]),
        ("x" * 65, []),
        ("", []),
    ],
)
def test_words_of_identifiers_and_of_texts(text, expected):
    assert [word for word in words(text) if word in expected] == expected


def test_a_uuid_is_one_word():
    uuid = "01a226e5-154b-78fd-b149-1e2ab3880ae3"
    assert words(f"by {uuid.upper()}, twice {uuid}") == ["by", uuid, "twice"]
    assert asked_words(uuid.upper()) == [uuid]
    assert words(f"{uuid}f") == [*uuid.split("-")[:-1], "1e2ab3880ae3f"]


def test_terms_of_two_organisations_have_nothing_in_common():
    one, other = TermKey(bytes(32)), TermKey(bytes(31) + b"1")
    assert one.word("ada") != other.word("ada")
    assert one.equals("a", "b") != one.has_word("a", "b") != one.present("a\0b")
    assert -(2**63) <= one.word("ada") < 2**63


async def test_a_refused_erasure_does_not_stop_the_projection(world, user):
    nobody = governance_pb2.Subject(type="user", id="nobody")
    with pytest.raises(grpc.aio.AioRpcError):
        await world.governance.EraseSubject(
            governance_pb2.EraseSubjectRequest(subject=nobody, reason="asked for it"),
            metadata=user.metadata,
        )
    found = await rows(world, user.organisation_id)
    await record(world, user, event())
    assert len(await rows(world, user.organisation_id)) == len(found) + 1


async def test_no_text_that_an_event_may_have_stops_the_projection(world, user):
    odd = audit_pb2.Target(id="d_1", type="a b", name="c\0d")
    changes = {"outcome_reason": "e\0f", "source": "g\0h", "targets": [odd], "user_agent": "\0"}
    await record(world, user, event(**changes, metadata={"i\0j": "k\0", '"},{': "\\"}))
    found = await rows(world, user.organisation_id)
    await record(world, user, event())
    assert len(await rows(world, user.organisation_id)) == len(found) + 1


async def test_a_projection_made_anew_is_the_same(cluster):
    # All logs of a database are projected anew: here, one.
    async with running_world(cluster.new_database()) as world:
        user = await new_user(world)
        await record_batch(world, user, [event(action=f"door.{n % 3}.open") for n in range(40)])
        before = await rows(world, user.organisation_id)
        await rebuild_search(AuditSettings(database_url=world.database.service_url("audit")))
        assert await rows(world, user.organisation_id) == before


async def test_a_log_that_cannot_be_read_holds_up_no_other(world, user):
    leaves = [b"%d" % number for number in range(8_000)]
    broken = str(uuid4())
    await asyncio.to_thread(fill_log, world.database, broken, leaves, projected=False)
    await asyncio.to_thread(announce, world.database, broken)
    await record(world, user, event(action="door.open"))
    assert await rows(world, user.organisation_id)
    assert await rows(world, broken) == []


def announce(database, organisation_id):
    with database.connect() as connection:
        connection.execute("SELECT pg_notify('audit_appended', %s)", [organisation_id])


async def test_an_erasure_takes_away_the_terms_of_a_damaged_event_too(world, user):
    for actor in ("u_10", "u_11"):
        await record(world, user, event(actor={"id": actor, "name": "Mary Cartwright"}))
    before = await rows(world, user.organisation_id)

    def damage():
        with world.database.connect() as connection:
            connection.execute(
                "UPDATE audit.payloads SET disclosures = substr(disclosures, 9)"
                " WHERE organisation_id = %s AND actor_id = 'u_10'",
                [user.organisation_id],
            )

    await asyncio.to_thread(damage)
    for actor in ("u_10", "u_11"):
        await world.governance.EraseSubject(
            governance_pb2.EraseSubjectRequest(
                subject=governance_pb2.Subject(type="user", id=actor), reason="asked for it"
            ),
            metadata=user.metadata,
        )
    after = await rows(world, user.organisation_id)
    for place in (-1, -2):
        (index, *_, terms, public) = before[place]
        assert after[index][5] == terms[:public]
