"""A person's rights: see what is held, and have it erased, in auth and in every log."""

import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import account_pb2, auth_pb2
from smart_audit.auth.domain import INSTALLATION
from tests.support.governance import place_hold, release_hold, until
from tests.support.mails import account_of, mail_to, queue_is_empty
from tests.support.world import refusal, running_world


@pytest.fixture
def account(world):
    return account_of(world)


def join(world, user, organisation_id, role):
    """Make a user a member, as an accepted invitation does."""
    with world.database.connect() as connection:
        connection.execute(
            "INSERT INTO auth.memberships (organisation_id, user_id, role, created_at)"
            " VALUES (%s, %s, %s, now())",
            [organisation_id, user.id, role],
        )


def delete(account, user, **changes):
    request = account_pb2.DeleteMyAccountRequest(**{"confirm_email": user.email, **changes})
    return account.DeleteMyAccount(request, metadata=user.metadata)


def rows_about(world, user):
    """Names of the tables of auth that still know the user's id, address or names."""
    found = []
    with world.database.connect() as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'auth'"
            " AND tablename NOT IN ('erasures', 'outbox')"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(f"SELECT row_to_json(t)::text FROM auth.{table} t").fetchall()
            if any(user.id in row or user.email in row for (row,) in rows):
                found.append(table)
    return found


async def all_erased(world, user):
    with world.database.connect() as connection:
        return connection.execute(
            "SELECT count(*) = 0 FROM auth.erasures WHERE user_id = %s"
            " AND next_attempt_at < now() + interval '5 minutes'",
            [user.id],
        ).fetchone()[0]


async def events_of(world, reader):
    answer = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(page_size=500), metadata=reader.metadata
    )
    return answer.events


async def test_the_export_has_all_kinds_and_no_secret(world, account):
    user = await world.new_user()
    with world.database.connect() as connection:
        connection.execute(
            "INSERT INTO auth.totp_secrets (user_id, sealed_secret, created_at)"
            " VALUES (%s, 'sealed-secret', now())",
            [user.id],
        )
        connection.execute(
            "INSERT INTO auth.passkeys (credential_id, id, user_id, name, public_key, sign_count,"
            " backed_up, created_at) VALUES (%s, gen_random_uuid(), %s, 'My phone',"
            " 'public-key', 0, true, now())",
            [user.id.encode(), user.id],
        )
    answer = await account.ExportMyData(account_pb2.ExportMyDataRequest(), metadata=user.metadata)
    data = dict(answer.data.items())
    assert data["profile"]["email"] == user.email
    assert data["memberships"][0]["role"] == "owner"
    assert data["sessions"][0]["id"] == user.session_id
    assert data["passkeys"][0]["name"] == "My phone"
    assert len(data["authenticator_apps"]) == 1
    assert {"recovery_codes", "invitations"} <= set(data)
    assert list(data["audit"]["organisation_ids"]) == [user.organisation_id]
    assert user.id in data["audit"]["how"]
    for secret in ("sealed-secret", "public-key", "argon2", user.refresh_token):
        assert secret not in str(answer)


async def test_a_deletion_has_to_be_confirmed_by_the_address(world, account):
    user = await world.new_user()
    refused = await refusal(delete(account, user, confirm_email="other@example.com"))
    assert refused.reason == "CONFIRMATION_WRONG"
    await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)


async def test_the_only_owner_of_others_cannot_leave_them_alone(world, account):
    owner, member = await world.new_user(), await world.new_user()
    join(world, member, owner.organisation_id, "admin")
    refused = await refusal(delete(account, owner))
    assert refused.reason == "LAST_OWNER"
    assert refused.metadata["organisation_id"] == owner.organisation_id
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.memberships SET role = 'owner' WHERE user_id = %s", [member.id]
        )
    await delete(account, owner)
    with world.database.connect() as connection:
        assert (
            connection.execute(
                "SELECT count(*) FROM auth.memberships WHERE organisation_id = %s",
                [owner.organisation_id],
            ).fetchone()[0]
            == 1
        )


async def test_a_deleted_person_is_gone_from_auth_and_from_every_log(world, account):
    colleague, user = await world.new_user(), await world.signed_up()
    join(world, user, colleague.organisation_id, "member")
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.sessions SET organisation_id = %s WHERE id = %s",
            [colleague.organisation_id, user.session_id],
        )
    # A refresh gives a token of that organisation, and an event of the person in its log.
    answer = await world.auth.RefreshToken(
        auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    )
    metadata = (("authorization", f"Bearer {answer.access_token}"),)
    await account.UpdateProfile(
        account_pb2.UpdateProfileRequest(last_name="Byron"), metadata=metadata
    )

    async def is_told():
        events = await events_of(world, colleague)
        return [event for event in events if event.actor.name == "Ada Byron"]

    (told,) = await until(is_told)
    await account.DeleteMyAccount(
        account_pb2.DeleteMyAccountRequest(confirm_email=user.email.upper()), metadata=metadata
    )
    await until(lambda: all_erased(world, user))
    await queue_is_empty(world)
    assert rows_about(world, user) == []

    async def is_recorded():
        events = await events_of(world, colleague)
        return [event for event in events if event.action == "auth.account.delete"]

    (deletion,) = await until(is_recorded)
    assert deletion.actor.id == user.id
    personal = (deletion.actor.name, deletion.actor.email, deletion.source_address)
    assert personal == ("", "", "")
    assert not deletion.erased_fields
    for event in await events_of(world, colleague):
        if event.id == told.id:
            assert not event.actor.name
            assert "actor.name" in event.erased_fields
            break
    else:
        raise AssertionError("the event is gone")
    with world.database.connect() as connection:
        live = connection.execute(
            "SELECT organisation_id FROM audit.subject_keys WHERE subject_id = %s"
            " AND wrapped_key IS NOT NULL",
            [user.id],
        ).fetchall()
    assert live == []
    assert "Your account was deleted" in (await mail_to(world, user.email, "deleted")).subject


async def test_tokens_and_personal_organisation_go_with_the_account(world, account):
    user = await world.new_user()
    await delete(account, user)

    async def is_refused():
        found = await refusal_or_none(
            world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)
        )
        return found and found.reason == "SESSION_ENDED"

    await until(is_refused, seconds=1)
    with world.database.connect() as connection:
        assert (
            connection.execute(
                "SELECT FROM auth.organisations WHERE id = %s", [user.organisation_id]
            ).fetchone()
            is None
        )
        assert connection.execute(
            "SELECT name FROM auth.organisations WHERE id = %s", [INSTALLATION]
        ).fetchone()


async def refusal_or_none(call):
    try:
        return await refusal(call)
    except AssertionError:
        return None


async def test_organisations_that_the_person_has_left_are_erased_too(world, account):
    colleague, user = await world.new_user(), await world.new_user()
    join(world, user, colleague.organisation_id, "member")
    with world.database.connect() as connection:
        connection.execute(
            "DELETE FROM auth.memberships WHERE user_id = %s AND organisation_id = %s",
            [user.id, colleague.organisation_id],
        )
    message = audit_pb2.Event(
        action="document.read",
        actor=audit_pb2.Actor(id=user.id, type="user", name="Ada"),
        outcome=audit_pb2.OUTCOME_SUCCESS,
    )
    await world.events.RecordEvent(
        audit_pb2.RecordEventRequest(event=message), metadata=colleague.metadata
    )
    await delete(account, user)
    await until(lambda: all_erased(world, user))
    names = [
        event.actor.name for event in await events_of(world, colleague) if event.actor.id == user.id
    ]
    assert names == [""]


async def test_an_erasure_waits_for_the_end_of_a_legal_hold(world, account):
    colleague, user = await world.new_user(), await world.new_user()
    join(world, user, colleague.organisation_id, "member")
    message = audit_pb2.Event(
        action="document.read",
        actor=audit_pb2.Actor(id=user.id, type="user", name="Ada"),
        outcome=audit_pb2.OUTCOME_SUCCESS,
    )
    await world.events.RecordEvent(
        audit_pb2.RecordEventRequest(event=message), metadata=colleague.metadata
    )
    hold = (await place_hold(world, colleague, subject=user.id)).hold
    await delete(account, user)

    async def names():
        events = await events_of(world, colleague)
        return [event.actor.name for event in events if event.id and event.actor.id == user.id]

    async def tried():
        return attempts_at(world, user, colleague.organisation_id)

    await until(tried)
    assert "Ada" in await names()
    await release_hold(world, colleague, hold.id)
    with world.database.connect() as connection:
        connection.execute("UPDATE auth.erasures SET next_attempt_at = now()")
    await until(lambda: all_erased(world, user))
    assert "Ada" not in await names()


def attempts_at(world, user, organisation_id):
    with world.database.connect() as connection:
        return connection.execute(
            "SELECT max(attempts) FROM auth.erasures WHERE user_id = %s AND organisation_id = %s",
            [user.id, organisation_id],
        ).fetchone()[0]


async def test_an_erasure_waits_while_audit_is_away(cluster):
    database = cluster.new_database()
    async with running_world(database, auth={"audit_address": "127.0.0.1:1"}) as lonely:
        user = await lonely.new_user()
        join(lonely, user, INSTALLATION, "owner")
        assert (await refusal(delete(account_of(lonely), user))).reason == "LAST_ADMINISTRATOR"
        with lonely.database.connect() as connection:
            connection.execute(
                "DELETE FROM auth.memberships WHERE organisation_id = %s", [INSTALLATION]
            )
        await delete(account_of(lonely), user)
        assert not await all_erased(lonely, user)
    async with running_world(database) as world:
        await until(lambda: all_erased(world, user))
        with world.database.connect() as connection:
            keys = connection.execute(
                "SELECT wrapped_key FROM audit.subject_keys WHERE subject_id = %s", [user.id]
            ).fetchall()
            again = connection.execute("SELECT organisation_id FROM auth.erasures").fetchall()
    assert keys
    assert all(key is None for (key,) in keys)
    assert len(again) == 2
