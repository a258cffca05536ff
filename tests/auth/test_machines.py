"""Service accounts and API keys at the wire: who may make them, and what ends them."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import jwt
import pytest
from google.protobuf.duration_pb2 import Duration

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import machines_pb2
from smart_audit.auth.machines import is_api_key
from smart_audit.auth.wiring import SERVICES
from smart_audit.core.ids import new_id
from tests.support.machines import exchange, machines_of
from tests.support.tokens import bearer, claims_of
from tests.support.world import refusal


@pytest.fixture(scope="module")
async def machines(world):
    async with machines_of(world) as found:
        yield found


@pytest.fixture(scope="module")
async def owner(world):
    return await world.new_user()


def naming(kind, account_id, **fields):
    return getattr(machines_pb2, f"{kind}Request")(service_account_id=account_id, **fields)


async def listed(world, token):
    """Whether audit takes a token."""
    await world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=bearer(token))
    return True


async def refused_soon(world, token):
    """Within a second audit refuses a token that it took."""
    for _ in range(50):
        try:
            await listed(world, token)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED  # noqa: PT017
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the token was taken for a second")


async def test_an_account_is_created_read_and_changed(machines, owner):
    account = await machines.new_account(owner, "events.record", "events.read", name="billing")
    assert list(account.scopes) == ["events.read", "events.record"]
    assert not account.HasField("disabled_at")
    request = naming("UpdateServiceAccount", account.id, name="invoices", scopes=["events.read"])
    changed = await machines.accounts.UpdateServiceAccount(request, metadata=owner.metadata)
    found = await machines.accounts.GetServiceAccount(
        naming("GetServiceAccount", account.id), metadata=owner.metadata
    )
    assert found.service_account == changed.service_account
    assert (found.service_account.name, list(found.service_account.scopes)) == (
        "invoices",
        ["events.read"],
    )


async def test_accounts_and_keys_are_listed_in_pages(world, machines):
    user = await world.new_user()
    names = [(await machines.new_account(user)).name for _ in range(3)]
    seen, token = [], ""
    for size in (2, 2):
        page = await machines.accounts.ListServiceAccounts(
            machines_pb2.ListServiceAccountsRequest(page_size=size, page_token=token),
            metadata=user.metadata,
        )
        seen += [account.name for account in page.service_accounts]
        token = page.next_page_token
    assert (seen, token) == (names, "")
    account_id = page.service_accounts[0].id
    keys = [await machines.new_key(user, account_id) for _ in range(3)]
    first = await machines.accounts.ListApiKeys(
        naming("ListApiKeys", account_id, page_size=2), metadata=user.metadata
    )
    rest = await machines.accounts.ListApiKeys(
        naming("ListApiKeys", account_id, page_token=first.next_page_token), metadata=user.metadata
    )
    found = [*first.api_keys, *rest.api_keys]
    assert [key.prefix for key in found] == [key.prefix for key in keys]
    assert rest.next_page_token == ""


async def test_a_page_token_of_somebody_else_is_refused(machines, owner):
    request = machines_pb2.ListServiceAccountsRequest(page_token="not a token")
    refused = await refusal(machines.accounts.ListServiceAccounts(request, metadata=owner.metadata))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "PAGE_TOKEN_INVALID",
    )


async def test_a_name_is_taken_once_in_an_organisation(machines, owner):
    first, second = [await machines.new_account(owner) for _ in range(2)]
    again = machines_pb2.CreateServiceAccountRequest(name=first.name, scopes=["events.read"])
    rename = naming("UpdateServiceAccount", second.id, name=first.name, scopes=list(second.scopes))
    for call in (
        machines.accounts.CreateServiceAccount(again, metadata=owner.metadata),
        machines.accounts.UpdateServiceAccount(rename, metadata=owner.metadata),
    ):
        refused = await refusal(call)
        assert refused.code is grpc.StatusCode.ALREADY_EXISTS
        assert refused.reason == "SERVICE_ACCOUNT_NAME_TAKEN"


async def test_a_scope_that_no_event_could_hold_is_malformed(machines, owner):
    """The refusal of a scope that is only lacking is an event, and names it."""
    account = await machines.new_account(owner)
    create = machines_pb2.CreateServiceAccountRequest(name=uuid4().hex, scopes=["a\0b"])
    update = naming("UpdateServiceAccount", account.id, name=account.name, scopes=["a\0b"])
    for call in (
        machines.accounts.CreateServiceAccount(create, metadata=owner.metadata),
        machines.accounts.UpdateServiceAccount(update, metadata=owner.metadata),
    ):
        refused = await refusal(call)
        assert refused.fields == {"scopes[0]": "must not hold control characters"}


@pytest.mark.parametrize("scope", ["users.read", "events.record_any", "no such scope"])
async def test_nobody_gives_a_machine_what_it_lacks_itself(machines, owner, scope):
    account = await machines.new_account(owner)
    create = machines_pb2.CreateServiceAccountRequest(name=uuid4().hex, scopes=[scope])
    update = naming("UpdateServiceAccount", account.id, name=account.name, scopes=[scope])
    for call in (
        machines.accounts.CreateServiceAccount(create, metadata=owner.metadata),
        machines.accounts.UpdateServiceAccount(update, metadata=owner.metadata),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "SCOPE_FORBIDDEN",
        )
        assert refused.metadata == {"scopes": scope}


async def test_a_key_of_an_account_with_more_scopes_than_its_maker_is_not_made(
    world, machines, owner
):
    account = await machines.new_account(owner, "organisation.own")
    key = await machines.new_key(owner, account.id)
    admin = await world.new_user()
    with world.database.connect() as connection:
        connection.execute(
            "INSERT INTO auth.memberships VALUES (%s, %s, 'admin', '2000-01-01')",
            [owner.organisation_id, admin.id],
        )
    admin = await world.login(admin.email)
    assert admin.organisation_id == owner.organisation_id
    make = naming("CreateApiKey", account.id)
    rotate = naming("RotateApiKey", account.id, api_key_id=key.id)
    for call in (
        machines.accounts.CreateApiKey(make, metadata=admin.metadata),
        machines.accounts.RotateApiKey(rotate, metadata=admin.metadata),
    ):
        assert (await refusal(call)).reason == "SCOPE_FORBIDDEN"


async def test_accounts_of_others_are_as_if_they_were_not_there(world, machines, owner):
    key = await machines.new_machine(owner)
    stranger = await world.new_user()
    own = await machines.new_account(stranger)
    for account_id in (key.account_id, str(new_id())):
        for kind, fields in (
            ("GetServiceAccount", {}),
            ("UpdateServiceAccount", {"name": "x", "scopes": ["events.read"]}),
            ("DisableServiceAccount", {}),
            ("EnableServiceAccount", {}),
            ("CreateApiKey", {}),
            ("ListApiKeys", {}),
            ("RotateApiKey", {"api_key_id": key.id}),
            ("RevokeApiKey", {"api_key_id": key.id}),
        ):
            request = naming(kind, account_id, **fields)
            refused = await refusal(
                getattr(machines.accounts, kind)(request, metadata=stranger.metadata)
            )
            assert (refused.code, refused.reason, refused.message) == (
                grpc.StatusCode.NOT_FOUND,
                "SERVICE_ACCOUNT_NOT_FOUND",
                "no such service account in your organisation",
            ), kind
    for kind in ("RotateApiKey", "RevokeApiKey"):
        request = naming(kind, own.id, api_key_id=key.id)
        call = getattr(machines.accounts, kind)(request, metadata=stranger.metadata)
        assert (await refusal(call)).reason == "API_KEY_NOT_FOUND"
    assert await listed(world, await machines.token(key))


async def test_a_key_is_shown_once_and_kept_as_a_hash(world, machines, owner):
    key = await machines.new_machine(owner, name="production")
    page = await machines.accounts.ListApiKeys(
        naming("ListApiKeys", key.account_id), metadata=owner.metadata
    )
    (shown,) = page.api_keys
    assert (shown.id, shown.name, shown.prefix) == (key.id, "production", key.prefix)
    assert shown.created_at.seconds > 0
    assert key.secret not in str(page)
    with world.database.connect() as connection:
        row = connection.execute("SELECT * FROM auth.api_keys WHERE id = %s", [key.id]).fetchone()
    assert key.secret.encode() not in b"".join(
        one if isinstance(one, bytes) else str(one).encode() for one in row
    )


async def test_a_key_is_told_from_a_look_alike_without_asking_anybody(machines, owner):
    secret = (await machines.new_machine(owner)).secret
    assert secret.startswith("sa_")
    assert is_api_key(secret)
    changed = secret[:20] + ("A" if secret[20] != "A" else "B") + secret[21:]
    for other in (changed, secret[:-1], secret + "A", secret.lower(), f" {secret}"):
        assert not is_api_key(other)


async def test_a_machine_makes_no_keys(machines, owner):
    # A stolen token must not become a key that lives on.
    key = await machines.new_machine(owner, "service_accounts.manage")
    token = await machines.token(key)
    call = machines.accounts.CreateApiKey(
        naming("CreateApiKey", key.account_id), metadata=bearer(token)
    )
    assert (await refusal(call)).reason == "PERSON_REQUIRED"


async def test_disabling_refuses_key_and_tokens_until_it_is_enabled(world, machines, owner):
    key = await machines.new_machine(owner)
    token = await machines.token(key)
    assert await listed(world, token)
    for _ in range(2):
        answer = await machines.accounts.DisableServiceAccount(
            naming("DisableServiceAccount", key.account_id), metadata=owner.metadata
        )
        assert answer.service_account.HasField("disabled_at")
    assert (await refusal(machines.send("Token", exchange(key)))).reason == "CLIENT_INVALID"
    await refused_soon(world, token)
    answer = await machines.accounts.EnableServiceAccount(
        naming("EnableServiceAccount", key.account_id), metadata=owner.metadata
    )
    assert not answer.service_account.HasField("disabled_at")
    assert await listed(world, await machines.token(key))
    await refused_soon(world, token)


async def test_a_scope_that_is_taken_away_is_gone_from_tokens_that_are_out(world, machines, owner):
    key = await machines.new_machine(owner, "events.read", "events.record")
    token = await machines.token(key)
    assert await listed(world, token)
    request = naming(
        "UpdateServiceAccount", key.account_id, name=uuid4().hex, scopes=["events.record"]
    )
    await machines.accounts.UpdateServiceAccount(request, metadata=owner.metadata)
    await refused_soon(world, token)
    refused = await refusal(listed(world, await machines.token(key)))
    assert refused.reason == "SCOPE_MISSING"


async def test_revoking_a_key_ends_its_tokens_and_no_others(world, machines, owner):
    key = await machines.new_machine(owner)
    other = await machines.new_key(owner, key.account_id)
    token, kept = await machines.token(key), await machines.token(other)
    assert await listed(world, token)
    request = naming("RevokeApiKey", key.account_id, api_key_id=key.id)
    first, second = [
        (await machines.accounts.RevokeApiKey(request, metadata=owner.metadata)).api_key
        for _ in range(2)
    ]
    assert first.revoked_at == second.revoked_at
    assert (await refusal(machines.send("Token", exchange(key)))).reason == "CLIENT_INVALID"
    await refused_soon(world, token)
    assert await listed(world, kept)


async def test_a_rotated_key_works_on_for_the_overlap(machines, owner):
    key = await machines.new_machine(owner, name="ci")
    request = naming("RotateApiKey", key.account_id, api_key_id=key.id)
    answer = await machines.accounts.RotateApiKey(request, metadata=owner.metadata)
    assert answer.api_key.name == "ci"
    assert not answer.api_key.HasField("expires_at")
    left = answer.replaced.expires_at.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    for secret in (key.secret, answer.key):
        form = exchange(key) | {"client_secret": secret}
        assert await machines.ask("Token", form)


async def test_a_rotation_without_overlap_ends_the_old_key_at_once(world, machines, owner):
    in_a_month = datetime.now(UTC) + timedelta(days=30)
    key = await machines.new_machine(owner, expires_at=in_a_month)
    token = await machines.token(key)
    request = naming("RotateApiKey", key.account_id, api_key_id=key.id, overlap=Duration())
    answer = await machines.accounts.RotateApiKey(request, metadata=owner.metadata)
    assert answer.replaced.HasField("revoked_at")
    assert abs(answer.api_key.expires_at.ToDatetime(tzinfo=UTC) - in_a_month) < timedelta(minutes=1)
    assert (await refusal(machines.send("Token", exchange(key)))).reason == "CLIENT_INVALID"
    await refused_soon(world, token)
    again = machines.accounts.RotateApiKey(request, metadata=owner.metadata)
    assert (await refusal(again)).reason == "API_KEY_ENDED"


async def test_a_key_expires_and_its_tokens_do_not_outlive_it(world, machines, owner):
    key = await machines.new_machine(owner, expires_at=datetime.now(UTC) + timedelta(minutes=3))
    claims = jwt.decode(await machines.token(key), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] <= 180
    with world.database.connect() as connection:
        connection.execute("UPDATE auth.api_keys SET expires_at = now() WHERE id = %s", [key.id])
    assert (await refusal(machines.send("Token", exchange(key)))).reason == "CLIENT_INVALID"


async def test_a_keys_use_is_noted_at_most_once_a_minute(world, machines, owner):
    key = await machines.new_machine(owner)

    async def last_used():
        page = await machines.accounts.ListApiKeys(
            naming("ListApiKeys", key.account_id), metadata=owner.metadata
        )
        return page.api_keys[0].last_used_at.ToNanoseconds()

    assert await last_used() == 0
    await machines.token(key)
    first = await last_used()
    assert first
    await machines.token(key)
    assert await last_used() == first
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.api_keys SET last_used_at = last_used_at - interval '1 minute'"
            " WHERE id = %s",
            [key.id],
        )
    await machines.token(key)
    assert await last_used() > first


async def test_a_machine_with_all_scopes_meets_refusals_and_no_defect(world, machines):
    user = await world.new_user()
    key = await machines.new_machine(user, *claims_of(user.access_token)["scope"].split())
    token = await machines.token(key)
    codes = {}
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.auth_port}") as channel:
        for method in (method for service in SERVICES for method in service.methods):
            path = f"/{method.containing_service.full_name}/{method.name}"
            if method.server_streaming:
                continue
            try:
                await channel.unary_unary(path)(b"", metadata=bearer(token))
            except grpc.aio.AioRpcError as error:
                codes[method.name] = error.code()
    assert grpc.StatusCode.INTERNAL not in codes.values(), codes
    assert codes["GetMe"] is codes["Logout"] is grpc.StatusCode.PERMISSION_DENIED
