"""What row-level security gives when a query forgets whom it is for."""

from contextlib import asynccontextmanager
from contextvars import ContextVar
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Delete, Select, Update

from smart_audit.auth.repository import CONNECTION_OPTIONS, Work
from smart_audit.core.database import open_engine
from tests.support.foreign import new_foreign, state

# Set in a test, it does not reach the services, which run beside it in the same process.
forgetting: ContextVar[bool] = ContextVar("forgetting", default=False)
GUARDED = {
    "organisations": "id",
    "memberships": "organisation_id",
    "sessions": "organisation_id",
    "invitations": "organisation_id",
    "service_accounts": "organisation_id",
    "api_keys": "organisation_id",
    "passkeys": "user_id",
}


@pytest.fixture(scope="module")
async def foreign(world):
    """An organisation that no caller of these tests is a member of."""
    return await new_foreign(world)


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
    """All queries of all repositories lose their conditions, in the test alone."""
    execute = AsyncConnection.execute

    async def executed(connection, statement, *arguments, **keywords):
        if forgetting.get() and isinstance(statement, (Select, Update, Delete)):
            statement = statement._generate()
            statement._where_criteria = ()
        return await execute(connection, statement, *arguments, **keywords)

    monkeypatch.setattr(AsyncConnection, "execute", executed)


async def test_a_repository_without_its_filters_gives_nothing_of_others(
    world, foreign, caller, forgetful
):
    own, me = UUID(caller.organisation_id), UUID(caller.id)
    forgetting.set(True)
    async with work_of(world) as work:
        async with work.within(own, me) as repositories:
            members = await repositories.members.page(own, None, 1000)
            assert [one.user_id for one in members] == [me]
            assert await repositories.invitations.page(own, None, 1000) == []
            here = await repositories.organisations.memberships(me, None, 1000)
            assert [one.organisation.id for one in here] == [own]
        # The control: whoever may see everything is shown others by the same query.
        async with work.everywhere() as repositories:
            shown = {one.user_id for one in await repositories.members.page(own, None, 1000)}
            assert {me, UUID(foreign.ids.user)} <= shown


async def test_a_repository_without_its_filters_changes_nothing_of_others(
    world, foreign, caller, forgetful
):
    before = state(world, foreign)
    own, me = UUID(caller.organisation_id), UUID(caller.id)
    forgetting.set(True)
    async with work_of(world) as work, work.within(own, me) as repositories:
        await repositories.members.set_role(own, me, "auditor")
        await repositories.members.remove(own, me)
    assert state(world, foreign) == before


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
