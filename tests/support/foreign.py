"""An organisation that has one thing of each kind, and what shows whether anything has changed."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from smart_audit.api.audit.v1 import audit_pb2, saved_searches_pb2
from smart_audit.api.auth.v1 import organisations_pb2
from tests.support.event_types import event_type, register, saved_searches
from tests.support.events import event, record, settled
from tests.support.exports import id_of, order, until_done
from tests.support.governance import place_hold
from tests.support.isolation import Ids
from tests.support.world import User, World

MARK = "zebedee"
"""Stands in all that the organisation says of itself."""
# The log signs checkpoints of itself, in the background too.
OWN_WORK = {"audit.checkpoints", "audit.logs"}


@dataclass(frozen=True)
class Foreign:
    """An organisation, its owner, and what names the things of both."""

    owner: User
    ids: Ids


async def new_foreign(world: World) -> Foreign:
    """An organisation with one thing of each kind."""
    user = await world.new_user(first_name=MARK)
    owner = await world.login(user.email)
    invited = await world.organisations.CreateInvitation(
        organisations_pb2.CreateInvitationRequest(email=f"{MARK}@example.com", role="admin"),
        metadata=owner.metadata,
    )
    actor = audit_pb2.Actor(id=MARK, type="user", name=MARK)
    receipt = await record(world, owner, event(actor=actor, source=MARK))
    held = await place_hold(world, owner, reason=MARK, target_id=MARK)
    exported = id_of(await order(world, owner))
    await until_done(world, owner, exported)
    (registered,) = await register(world, owner, event_type(str(uuid4()), display_name=MARK))
    search = saved_searches_pb2.SavedSearch(name=MARK, query=MARK, shared=True)
    saved = await saved_searches(world).CreateSavedSearch(
        saved_searches_pb2.CreateSavedSearchRequest(search=search), metadata=owner.metadata
    )
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
        export=exported,
        event_type=registered.action,
        saved_search=saved.search.id,
        leaf_hash=base64.b64encode(receipt.proof.leaf_hash).decode(),
    )
    _add_machine_and_passkey(world, ids)
    await all_is_told(world)
    await settled(world, owner)
    return Foreign(owner, ids)


def _add_machine_and_passkey(world: World, ids: Ids) -> None:
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


def state(world: World, foreign: Foreign) -> dict[str, Any]:
    """A digest of the rows of the organisation and of its owner, by table."""
    with world.database.connect() as connection:
        owned = connection.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            # What a partition has, its table has.
            " JOIN pg_class ON pg_class.oid = format('%I.%I', table_schema, table_name)::regclass"
            " AND NOT relispartition"
            " WHERE table_schema IN ('auth', 'audit') AND table_type = 'BASE TABLE'"
            " AND data_type = 'uuid' AND (column_name IN ('organisation_id', 'user_id')"
            " OR (column_name = 'id' AND table_name IN ('users', 'organisations')))"
        ).fetchall()
        return {
            f"{schema}.{table}.{column}": _digest(connection, schema, table, column, foreign)
            for schema, table, column in owned
            if f"{schema}.{table}" not in OWN_WORK
        }


def _digest(
    connection: psycopg.Connection, schema: str, table: str, column: str, foreign: Foreign
) -> Any:
    statement = sql.SQL(
        "SELECT count(*), md5(string_agg(row::text, '|' ORDER BY row::text))"
        " FROM {} AS row WHERE {} IN (%s, %s)"
    ).format(sql.Identifier(schema, table), sql.Identifier("row", column))
    return connection.execute(statement, [foreign.ids.organisation, foreign.ids.user]).fetchone()


def differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The tables whose digests differ."""
    return sorted(table for table in before if before[table] != after[table])


async def all_is_told(world: World) -> None:
    """Wait until the outbox is empty: the events have come in."""
    for _ in range(500):
        with world.database.connect() as connection:
            if connection.execute("SELECT count(*) FROM auth.outbox").fetchone() == (0,):
                return
        await asyncio.sleep(0.02)
    raise TimeoutError("events wait in the outbox")
