"""Passkeys at the wire, by an authenticator in software that also does what real ones do not."""

from uuid import uuid4

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2, factors_pb2
from tests.support.authenticator import Authenticator
from tests.support.events import settled
from tests.support.factors import (
    challenge_of,
    claims,
    complete,
    execute,
    logged_in,
    passkey_login,
    signed,
    struct,
    with_app,
    with_passkey,
)
from tests.support.mails import mail_to
from tests.support.world import refusal


async def test_a_passkey_logs_in_by_itself(world):
    user, authenticator = await world.new_user(), Authenticator()
    answer = await with_passkey(world, user, authenticator, name="My phone")
    assert answer.passkey.name == "My phone"
    assert not answer.passkey.HasField("last_used_at")
    assert len(answer.recovery_codes) == 10
    login = await passkey_login(world, await signed(world, authenticator))
    assert login.user.id == user.id
    assert claims(logged_in(user, login))["amr"] == ["hwk", "user", "mfa"]
    factors = await world.factors.ListFactors(
        factors_pb2.ListFactorsRequest(), metadata=logged_in(user, login).metadata
    )
    assert [one.name for one in factors.passkeys] == ["My phone"]
    assert factors.passkeys[0].last_used_at.seconds > 0


async def test_a_passkey_completes_a_login_by_password(world):
    user = await world.new_user()
    first, second = Authenticator(), Authenticator()
    await with_passkey(world, user, first)
    await with_passkey(world, user, second)
    asked = await challenge_of(world, user)
    assert asked.factors == ["passkey", "recovery_code"]
    options = MessageToDict(asked.passkey_options)
    assert options["challenge"] == asked.challenge
    assert [one["id"] for one in options["allowCredentials"]] == [
        one.get(options)["id"] for one in (first, second)
    ]
    answer = await complete(world, asked.challenge, passkey=struct(second.get(options)))
    assert claims(logged_in(user, answer))["amr"] == ["pwd", "hwk", "user", "mfa"]


async def test_the_answer_to_one_challenge_completes_no_other_login(world):
    user, authenticator = await world.new_user(), Authenticator()
    await with_passkey(world, user, authenticator)
    one, other = await challenge_of(world, user), await challenge_of(world, user)
    for credential in (
        struct(authenticator.get(MessageToDict(one.passkey_options))),
        await signed(world, authenticator),
    ):
        refused = await refusal(complete(world, other.challenge, passkey=credential))
        assert refused.reason == "PASSKEY_INVALID"
    assert (await passkey_login(world, credential)).access_token


async def test_an_answer_works_once(world):
    user, authenticator = await world.new_user(), Authenticator()
    await with_passkey(world, user, authenticator)
    credential = await signed(world, authenticator)
    assert (await passkey_login(world, credential)).access_token
    assert (await refusal(passkey_login(world, credential))).reason == "CHALLENGE_INVALID"


async def test_a_challenge_gets_one_answer_also_after_a_wrong_one(world):
    user, authenticator = await world.new_user(), Authenticator(verifies_user=True)
    await with_passkey(world, user, authenticator)
    begun = await world.auth.BeginPasskeyLogin(auth_pb2.BeginPasskeyLoginRequest())
    options = MessageToDict(begun.options)
    authenticator.verifies_user = False
    refused = await refusal(passkey_login(world, struct(authenticator.get(options))))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "PASSKEY_INVALID",
    )
    authenticator.verifies_user = True
    refused = await refusal(passkey_login(world, struct(authenticator.get(options))))
    assert refused.reason == "CHALLENGE_INVALID"


async def test_a_counter_that_does_not_grow_is_refused_and_told(world):
    user, authenticator = await world.new_user(), Authenticator()
    passkey = (await with_passkey(world, user, authenticator)).passkey
    await passkey_login(world, await signed(world, authenticator))
    authenticator.sign_count = 0
    refused = await refusal(passkey_login(world, await signed(world, authenticator)))
    assert refused.reason == "PASSKEY_CLONED"
    await mail_to(world, user.email, "A passkey of yours may have been copied")
    await settled(world, user, 5)
    answer = await world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=user.metadata)
    event = max(answer.events, key=lambda event: event.log_index)
    assert (event.action, event.outcome_reason) == ("auth.login", "PASSKEY_CLONED")
    assert event.actor.id == user.id
    assert event.metadata["passkey_id"] == passkey.id


async def test_challenges_that_nobody_has_answered_are_forgotten(world):
    execute(world, "UPDATE auth.challenges SET expires_at = now() - interval '1 minute'")
    with world.database.connect() as connection:
        count = "SELECT count(*) FROM auth.challenges WHERE expires_at < now()"
        (before,) = connection.execute(count).fetchone()
        for _ in range(2):
            await world.auth.BeginPasskeyLogin(auth_pb2.BeginPasskeyLoginRequest())
        (after,) = connection.execute(count).fetchone()
    assert after == max(before - 20, 0)


async def test_an_authenticator_that_does_not_count_is_welcome(world):
    user, authenticator = await world.new_user(), Authenticator(counts=False)
    await with_passkey(world, user, authenticator)
    for _ in range(2):
        assert (await passkey_login(world, await signed(world, authenticator))).access_token


async def test_an_unknown_passkey_and_a_wrong_signature_get_the_same_answer(world):
    user, authenticator = await world.new_user(), Authenticator()
    await with_passkey(world, user, authenticator)
    stranger = Authenticator(rp_id="localhost", user_handle=authenticator.user_handle)
    unknown = await refusal(passkey_login(world, await signed(world, stranger)))
    stranger.credential_id = authenticator.credential_id
    wrong = await refusal(passkey_login(world, await signed(world, stranger)))
    assert unknown == wrong
    assert wrong.reason == "PASSKEY_INVALID"


async def test_a_deactivated_user_has_no_passkey_that_works(world):
    user, authenticator = await world.new_user(), Authenticator()
    await with_passkey(world, user, authenticator)
    execute(world, "UPDATE auth.users SET deactivated_at = now() WHERE id = %s", user.id)
    refused = await refusal(passkey_login(world, await signed(world, authenticator)))
    assert refused.reason == "PASSKEY_INVALID"


async def test_a_passkey_is_registered_once(world):
    ada, eve, authenticator = await world.new_user(), await world.new_user(), Authenticator()
    await with_passkey(world, ada, authenticator)
    for user in (ada, eve):
        refused = await refusal(with_passkey(world, user, authenticator))
        assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "FACTOR_EXISTS")


async def test_a_passkey_is_finished_in_the_session_that_began_it_and_once(world):
    user = await world.new_user()
    other = await world.login(user.email)
    begun = await world.factors.BeginPasskeyRegistration(
        factors_pb2.BeginPasskeyRegistrationRequest(), metadata=user.metadata
    )
    options = MessageToDict(begun.options)

    def finish(who):
        request = factors_pb2.FinishPasskeyRegistrationRequest(
            credential=struct(Authenticator().create(options)), name="key"
        )
        return world.factors.FinishPasskeyRegistration(request, metadata=who.metadata)

    assert (await refusal(finish(other))).reason == "CHALLENGE_INVALID"
    assert (await finish(user)).passkey.id
    assert (await refusal(finish(user))).reason == "CHALLENGE_INVALID"


@pytest.mark.parametrize("wrong", [{"origin": "http://evil.test"}, {"verifies_user": False}])
async def test_a_passkey_that_was_made_wrongly_is_refused(world, wrong):
    user = await world.new_user()
    refused = await refusal(with_passkey(world, user, Authenticator(**wrong)))
    assert refused.reason == "PASSKEY_INVALID"


async def test_passkeys_are_renamed_and_removed_by_their_owner(world):
    ada, eve = await world.new_user(), await world.new_user()
    first = (await with_passkey(world, ada, Authenticator())).passkey
    second = await with_passkey(world, ada, Authenticator(), name="second")
    assert list(second.recovery_codes) == []

    def rename(user, passkey_id):
        request = factors_pb2.RenamePasskeyRequest(passkey_id=passkey_id, name="renamed")
        return world.factors.RenamePasskey(request, metadata=user.metadata)

    def remove(user, passkey_id):
        request = factors_pb2.RemovePasskeyRequest(passkey_id=passkey_id)
        return world.factors.RemovePasskey(request, metadata=user.metadata)

    nothing = str(uuid4())
    for call in (rename, remove):
        foreign, missing = await refusal(call(eve, first.id)), await refusal(call(eve, nothing))
        assert (foreign.code, foreign.reason) == (grpc.StatusCode.NOT_FOUND, "FACTOR_NOT_FOUND")
        assert foreign.message == missing.message
    assert (await rename(ada, first.id)).passkey.name == "renamed"
    await remove(ada, first.id)
    factors = await world.factors.ListFactors(
        factors_pb2.ListFactorsRequest(), metadata=ada.metadata
    )
    assert [one.name for one in factors.passkeys] == ["second"]
    assert factors.recovery_codes_left == 10
    await remove(ada, second.passkey.id)
    assert (await world.login(ada.email)).access_token


async def test_a_passkey_beside_an_app_is_offered_beside_it(world):
    user, authenticator = await world.new_user(), Authenticator()
    app = await with_app(world, user)
    added = await with_passkey(world, user, authenticator)
    assert (len(app.recovery_codes), list(added.recovery_codes)) == (10, [])
    assert (await challenge_of(world, user)).factors == ["totp", "passkey", "recovery_code"]


async def test_twenty_passkeys_are_enough(world):
    user = await world.new_user()
    await with_passkey(world, user, Authenticator())
    execute(
        world,
        "INSERT INTO auth.passkeys (credential_id, id, user_id, name, public_key, sign_count,"
        " backed_up, created_at) SELECT decode(md5(n::text || user_id::text), 'hex'),"
        " gen_random_uuid(), user_id, name, public_key, sign_count, backed_up, created_at"
        " FROM auth.passkeys, generate_series(1, 19) n WHERE user_id = %s",
        user.id,
    )
    refused = await refusal(with_passkey(world, user, Authenticator()))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PASSKEY_LIMIT_REACHED",
    )
    assert refused.metadata == {"limit": "20"}


async def test_what_is_too_large_to_be_a_credential_is_not_read(world):
    refused = await refusal(passkey_login(world, struct({"id": "x" * 70_000})))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.fields) == ["credential"]
    for nonsense in ({}, {"id": 7}, {"response": []}, {"response": {"clientDataJSON": "!"}}):
        refused = await refusal(passkey_login(world, struct(nonsense)))
        assert refused.code in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.UNAUTHENTICATED,
        )
