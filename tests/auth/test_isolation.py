"""One organisation against another: every RPC of both services, and the database beneath them."""

import asyncio
import base64
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import grpc.aio
import psycopg
import pytest
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import Delete, Select, Update

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import organisations_pb2
from smart_audit.auth.repository import CONNECTION_OPTIONS, Work
from smart_audit.core.database import open_engine
from tests.support.events import event, record, settled
from tests.support.governance import place_hold
from tests.support.isolation import ANSWERS_ALL_ALIKE, ENDS_THE_CALLER, Ids, requests
from tests.support.reflection import served
from tests.support.world import User, read_refusal

OURS = "smart_audit."
# Ids, the names of addresses and of keys, numbers and times.
MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{8,64}\b|\d+")
# The log signs checkpoints of itself, in the background too.
OWN_WORK = {"audit.checkpoints", "audit.logs"}
# These end what other requests name: an invitation, a session, the session that calls.
LAST = (
    "OrganisationService.WithdrawInvitation",
    "SessionService.RevokeSession",
    "OrganisationService.EndMemberSessions",
)
MARK = "zebedee"
"""Stands in all that the foreign organisation says of itself."""


@dataclass(frozen=True)
class Foreign:
    """An organisation with one thing of each kind."""

    owner: User
    ids: Ids


@pytest.fixture(scope="module")
async def foreign(world):
    """An organisation that no caller of these tests is a member of."""
    return await _new_organisation(world)


async def _new_organisation(world):
    user = await world.new_user(first_name=MARK)
    owner = await world.login(user.email)
    invited = await world.organisations.CreateInvitation(
        organisations_pb2.CreateInvitationRequest(email=f"{MARK}@example.com", role="admin"),
        metadata=owner.metadata,
    )
    actor = audit_pb2.Actor(id=MARK, type="user", name=MARK)
    receipt = await record(world, owner, event(actor=actor, source=MARK))
    held = await place_hold(world, owner, reason=MARK, target_id=MARK)
    ids = Ids(
        organisation=owner.organisation_id,
        user=owner.id,
        email=owner.email,
        session=user.session_id,
        invitation=invited.invitation.id,
        service_account=str(uuid4()),
        api_key=str(uuid4()),
        passkey=str(uuid4()),
        event=receipt.event_id,
        hold=held.hold.id,
        leaf_hash=base64.b64encode(receipt.proof.leaf_hash).decode(),
    )
    _add_machine_and_passkey(world, ids)
    await _until_all_is_told(world)
    await settled(world, owner)
    return Foreign(owner, ids)


def _add_machine_and_passkey(world, ids):
    with world.database.connect() as connection:
        connection.execute(
            "INSERT INTO auth.service_accounts (id, organisation_id, name, scopes, created_at)"
            " VALUES (%s, %s, %s, '{events.read}', now())",
            [ids.service_account, ids.organisation, MARK],
        )
        connection.execute(
            "INSERT INTO auth.api_keys (id, organisation_id, service_account_id, name, prefix,"
            " key_hash, created_at) VALUES (%s, %s, %s, %s, %s, %s, now())",
            [ids.api_key, ids.organisation, ids.service_account, MARK, MARK, uuid4().bytes],
        )
        connection.execute(
            "INSERT INTO auth.passkeys (credential_id, id, user_id, name, public_key, sign_count,"
            " backed_up, created_at) VALUES (%s, %s, %s, %s, '', 0, false, now())",
            [uuid4().bytes, ids.passkey, ids.user, MARK],
        )


async def test_no_rpc_shows_or_changes_what_is_anothers(world, foreign):
    """Each is called with foreign ids, then with ids of nothing: nothing tells the two apart."""
    caller = await world.new_user()
    methods = await served(world)
    untested = {method.name for method in methods} - set(requests(foreign.ids))
    assert not untested, "tests/support/isolation.py has no request to these RPCs"
    before = _state(world, foreign)
    faults = {}
    for method in methods:
        if fault := await _fault_of(method, world, caller, foreign):
            faults[method.name] = fault
        elif (after := _state(world, foreign)) != before:
            faults[method.name] = f"it has changed {_differing(before, after)}"
    await _until_all_is_told(world)
    if (after := _state(world, foreign)) != before:
        faults["the events of all these calls"] = f"have changed {_differing(before, after)}"
    assert not faults, "\n".join(f"{name}: {fault}" for name, fault in faults.items())


async def test_the_same_requests_find_what_is_ones_own(world):
    """Otherwise the test above would prove nothing."""
    own = await _new_organisation(world)
    blind = []
    for method in sorted(await served(world), key=_how_late):
        fields = requests(own.ids)[method.name]
        if own.ids.are_in(fields) and method.name not in ANSWERS_ALL_ALIKE:
            nothing = requests(Ids.of_nothing())[method.name]
            of_nothing = await answer_of(method, nothing, own.owner.metadata)
            if await answer_of(method, fields, own.owner.metadata) == of_nothing:
                blind.append(method.name)
    assert blind == []


def _how_late(method):
    return LAST.index(method.name) if method.name in LAST else -1


async def _fault_of(method, world, caller, foreign):
    """How an RPC shows what is foreign, or tells foreign ids from those of nothing."""
    answers = []
    for ids in (foreign.ids, Ids.of_nothing()):
        user = await world.new_user() if method.name in ENDS_THE_CALLER else caller
        fields = requests(ids)[method.name]
        answers.append(await answer_of(method, fields, user.metadata))
        if not ids.are_in(fields):
            break
    if MARK in answers[0]:
        return f"it shows {answers[0]}"
    return "" if len(set(answers)) == 1 else "foreign: {}; nothing: {}".format(*answers)


async def answer_of(method, fields, metadata):
    """What it answers, or how it refuses: without what differs from call to call."""
    try:
        answer = await method.call(fields, metadata)
    except grpc.aio.AioRpcError as error:
        answer = read_refusal(error)
    return MADE_UP.sub("made-up", str(answer).lower())


def _state(world, foreign):
    """A digest of the rows of the organisation and of its owner, by table."""
    with world.database.connect() as connection:
        owned = connection.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_schema IN ('auth', 'audit') AND table_type = 'BASE TABLE'"
            " AND data_type = 'uuid' AND (column_name IN ('organisation_id', 'user_id')"
            " OR (column_name = 'id' AND table_name IN ('users', 'organisations')))"
        ).fetchall()
        return {
            f"{schema}.{table}.{column}": _digest(connection, schema, table, column, foreign)
            for schema, table, column in owned
            if f"{schema}.{table}" not in OWN_WORK
        }


def _digest(connection, schema, table, column, foreign):
    statement = sql.SQL(
        "SELECT count(*), md5(string_agg(row::text, '|' ORDER BY row::text))"
        " FROM {} AS row WHERE {} IN (%s, %s)"
    ).format(sql.Identifier(schema, table), sql.Identifier("row", column))
    return connection.execute(statement, [foreign.ids.organisation, foreign.ids.user]).fetchone()


def _differing(before, after):
    return sorted(table for table in before if before[table] != after[table])


async def _until_all_is_told(world):
    """Wait until the outbox is empty: the events have come in."""
    for _ in range(500):
        with world.database.connect() as connection:
            if connection.execute("SELECT count(*) FROM auth.outbox").fetchone() == (0,):
                return
        await asyncio.sleep(0.02)
    raise TimeoutError("events wait in the outbox")


# What row-level security gives when a query forgets whom it is for.

GUARDED = {
    "organisations": "id",
    "memberships": "organisation_id",
    "sessions": "organisation_id",
    "invitations": "organisation_id",
    "service_accounts": "organisation_id",
    "api_keys": "organisation_id",
    "passkeys": "user_id",
}


@pytest.fixture
async def caller(world):
    return await world.new_user()


@asynccontextmanager
async def work_of(world):
    """Transactions as auth itself opens them."""
    url = world.database.service_url("auth")
    async with open_engine(
        url, pool_size=1, application="test", options=CONNECTION_OPTIONS
    ) as engine:
        yield Work(engine)


@pytest.fixture
def forgetful(monkeypatch):
    """All queries of all repositories, without their conditions."""
    execute = AsyncSession.execute

    async def executed(session, statement, *arguments, **keywords):
        if isinstance(statement, (Select, Update, Delete)):
            statement = statement._generate()
            statement._where_criteria = ()
        return await execute(session, statement, *arguments, **keywords)

    monkeypatch.setattr(AsyncSession, "execute", executed)


async def test_a_repository_without_its_filters_gives_nothing_of_others(
    world, foreign, caller, forgetful
):
    own = UUID(caller.organisation_id)
    async with (
        work_of(world) as work,
        work.within(own, UUID(caller.id)) as repositories,
    ):
        members = await repositories.members.page(own, None, 1000)
        assert [str(one.user_id) for one in members] == [caller.id]
        assert await repositories.invitations.page(own, None, 1000) == []
        here = await repositories.organisations.memberships(UUID(caller.id), None, 1000)
        assert [one.organisation.id for one in here] == [own]


async def test_a_repository_without_its_filters_changes_nothing_of_others(
    world, foreign, caller, forgetful
):
    before = _state(world, foreign)
    own, me = UUID(caller.organisation_id), UUID(caller.id)
    async with work_of(world) as work, work.within(own, me) as repositories:
        await repositories.members.set_role(own, me, "auditor")
        await repositories.members.remove(own, me)
    assert _state(world, foreign) == before


@pytest.fixture
def as_auth(world):
    """A connection of auth's own role that names nobody yet."""
    with psycopg.connect(world.database.service_url("auth"), autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("table", GUARDED)
async def test_row_security_shows_a_transaction_only_what_it_names(
    world, foreign, caller, as_auth, table
):
    as_auth.execute(
        "SELECT set_config('auth.organisation_id', %s, false),"
        " set_config('auth.user_id', %s, false)",
        [caller.organisation_id, caller.id],
    )
    shown = as_auth.execute(f"SELECT {GUARDED[table]}::text FROM auth.{table}").fetchall()
    assert {row[0] for row in shown} <= {caller.organisation_id, caller.id}
    with world.database.connect() as owner:
        assert owner.execute(f"SELECT count(*) FROM auth.{table}").fetchone() > (len(shown),)


@pytest.mark.parametrize(
    "table", [*GUARDED, "totp_secrets", "recovery_codes", "affiliations", "erasures"]
)
async def test_a_transaction_that_names_nobody_sees_nothing(foreign, as_auth, table):
    assert as_auth.execute(f"SELECT FROM auth.{table}").fetchall() == []


async def test_rows_cannot_be_put_into_another_organisation(foreign, caller, as_auth):
    as_auth.execute(
        "SELECT set_config('auth.organisation_id', %s, false)", [caller.organisation_id]
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        as_auth.execute(
            "INSERT INTO auth.memberships (organisation_id, user_id, role, created_at)"
            " VALUES (%s, %s, 'owner', now())",
            [foreign.ids.organisation, caller.id],
        )


async def test_every_table_of_an_organisation_or_a_user_has_row_security(world):
    with world.database.connect() as connection:
        open_ones = connection.execute(
            "SELECT DISTINCT table_schema || '.' || table_name FROM information_schema.columns"
            " JOIN pg_class ON oid = (quote_ident(table_schema) || '.' || quote_ident(table_name))"
            "::regclass WHERE table_schema IN ('auth', 'audit') AND NOT relrowsecurity"
            " AND NOT relispartition AND relkind IN ('r', 'p')"
            " AND column_name IN ('organisation_id', 'user_id')"
        ).fetchall()
    # A challenge is looked up by its token before anybody is known.
    assert {row[0] for row in open_ones} <= {"auth.challenges"}
