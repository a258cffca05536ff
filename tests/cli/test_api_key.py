"""An API key instead of a token: the SDK exchanges it by itself, and the command line with it."""

import asyncio
import time
from uuid import uuid4

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import machines_pb2
from smart_audit.client import connection as sdk
from smart_audit.client.connection import Connection, Session
from smart_audit.client.errors import CallError
from tests.cli.cable import cable_to
from tests.support.machines import machines_of
from tests.support.tokens import claims_of

SCOPES = ("events.read", "events.record", "log.read")


@pytest.fixture(scope="module")
async def machines(world):
    async with machines_of(world) as found:
        yield found


@pytest.fixture
async def key(machines, user):
    return await machines.new_machine(user, *SCOPES)


@pytest.fixture
def exchanges(monkeypatch):
    """Notes each exchange."""
    seen = []
    real = sdk.exchange

    async def noted(*arguments):
        seen.append(time.monotonic())
        return await real(*arguments)

    monkeypatch.setattr(sdk, "exchange", noted)
    return seen


def checkpoint(connection):
    return connection.call(connection.log.GetCheckpoint, audit_pb2.GetCheckpointRequest())


async def test_calls_at_the_same_time_share_one_exchange(gateway, key, exchanges):
    session = Session(api_key=key.secret)
    async with Connection(gateway.address, session) as connection:
        await asyncio.gather(*(checkpoint(connection) for _ in range(8)))
        await checkpoint(connection)
    assert len(exchanges) == 1
    assert claims_of(session.access_token)["client_id"] == key.account_id
    assert key.secret not in repr(session)


async def test_a_token_is_renewed_before_it_ends(gateway, key, exchanges):
    session = Session(api_key=key.secret)
    async with Connection(gateway.address, session) as connection:
        await checkpoint(connection)
        first = session.access_token
        left = session.renew_at - time.monotonic()
        assert 0.75 * 1800 < left < 0.85 * 1800
        session.renew_at = time.monotonic()
        await asyncio.gather(*(checkpoint(connection) for _ in range(4)))
    assert session.access_token != first
    assert len(exchanges) == 2


async def test_a_token_that_is_refused_early_is_renewed_too(gateway, machines, user, key):
    session = Session(api_key=key.secret)
    async with Connection(gateway.address, session) as connection:
        await checkpoint(connection)
        first = session.access_token
        fewer = machines_pb2.UpdateServiceAccountRequest(
            service_account_id=key.account_id, name=uuid4().hex, scopes=["log.read"]
        )
        await machines.accounts.UpdateServiceAccount(fewer, metadata=user.metadata)
        await asyncio.sleep(1)
        await checkpoint(connection)
    assert session.access_token != first
    assert claims_of(session.access_token)["scope"] == "log.read"


async def test_a_revoked_key_ends_the_calls(gateway, machines, user, key):
    revoke = machines_pb2.RevokeApiKeyRequest(service_account_id=key.account_id, api_key_id=key.id)
    await machines.accounts.RevokeApiKey(revoke, metadata=user.metadata)
    async with Connection(gateway.address, Session(api_key=key.secret)) as connection:
        with pytest.raises(CallError) as refused:
            await checkpoint(connection)
    assert (refused.value.code, refused.value.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "CLIENT_INVALID",
    )


async def test_calls_wait_for_an_exchange_until_the_service_is_back(gateway, key):
    async with (
        cable_to(gateway.address) as cable,
        Connection(cable.address, Session(api_key=key.secret), retry_for_s=20) as connection,
    ):
        waiting = asyncio.create_task(checkpoint(connection))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await cable.plug()
        assert (await waiting).origin


async def test_the_command_line_takes_an_api_key(cli, key, user):
    environment = {"SMART_AUDIT_TOKEN": None, "SMART_AUDIT_API_KEY": key.secret}
    result = await cli.run("verify", "log", **environment)
    assert result.code == 0, result.err
    assert user.organisation_id in result.out


@pytest.mark.parametrize(
    ("api_key", "code", "sentence"),
    [
        ("secret", 4, "SMART_AUDIT_API_KEY holds no API key: those begin with sa_"),
        ("sa_00000000_" + "0" * 49, 4, "the client is unknown, or its API key is wrong"),
    ],
)
async def test_a_key_that_is_none_is_refused_with_a_sentence(cli, api_key, code, sentence):
    result = await cli.run("verify", "log", SMART_AUDIT_TOKEN=None, SMART_AUDIT_API_KEY=api_key)
    assert (result.code, result.out) == (code, "")
    assert sentence in result.err
    assert "smart-audit login" not in result.err
