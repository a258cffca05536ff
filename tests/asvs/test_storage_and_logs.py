"""ASVS V11 and V16: what is stored, what is logged, and how errors end."""

import grpc.aio
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.auth.settings import AuthSettings
from tests.asvs.acting import listing, login_refused, recorded, refresh
from tests.asvs.requirements import proves
from tests.support.processes import Service
from tests.support.tokens import forged
from tests.support.world import ISSUER, PASSWORD, free_port, refusal, running_world


@proves("11.4.2", "argon2id with 19 MiB and 2 passes, or more: settings below that do not start")
async def test_passwords_are_stored_as_argon2id_of_current_cost(cluster):
    async with running_world(cluster.new_database(), quick_hashes=False) as world:
        person = await world.signed_up()
    ((stored,),) = world.database.execute(
        "SELECT password_hash FROM auth.users WHERE id = %s", person.id
    )
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    for cheap in ({"argon2_memory_kib": 19 * 1024 - 1}, {"argon2_passes": 1}):
        with pytest.raises(ValueError, match="greater than or equal"):
            AuthSettings(database_url="postgresql:///x", **cheap)


@pytest.fixture
async def talkative(cluster, tmp_path):
    """auth as a process of its own that logs all it can: (stub, its log)."""
    port = free_port()
    settings = {
        "AUTH_PORT": str(port),
        "AUTH_DATABASE_URL": cluster.new_database().service_url("auth"),
        "AUTH_ISSUER": ISSUER,
        "AUTH_MAIL_DIR": str(tmp_path / "mail"),
        "AUTH_LOG_LEVEL": "DEBUG",
        "AUTH_LOG_FORMAT": "json",
    }
    service = Service("auth", port, settings, tmp_path / "auth.log")
    await service.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield auth_pb2_grpc.AuthServiceStub(channel), service.log
    finally:
        await service.stop()


@proves("16.2.5", "log lines and events hold ids; no password, token or hash, at any log level")
async def test_nothing_secret_is_logged(talkative):
    auth, log = talkative
    known = {"email": "ada@example.com", "password": PASSWORD}
    await auth.Signup(auth_pb2.SignupRequest(first_name="Ada", last_name="Lovelace", **known))
    await refusal(auth.Login(auth_pb2.LoginRequest(email=known["email"], password="mistyped-one")))
    session = await auth.Login(auth_pb2.LoginRequest(**known))
    bearer = (("authorization", f"Bearer {session.access_token}"),)
    await auth.GetMe(auth_pb2.GetMeRequest(), metadata=bearer)
    following = await auth.RefreshToken(
        auth_pb2.RefreshTokenRequest(refresh_token=session.refresh_token)
    )
    said = log.read_text()
    assert said.count("rpc.handled") == 5
    secrets = [PASSWORD, "mistyped-one", session.access_token, session.refresh_token]
    secrets += [following.access_token, following.refresh_token, "$argon2id$", known["email"]]
    assert [secret for secret in secrets if secret in said] == []


@proves("16.3.1", "each login and refresh is an event in the audit log, with outcome and `amr`")
async def test_each_authentication_is_recorded_with_its_factors(world, person):
    told = await recorded(world, person, "auth.login", outcome=audit_pb2.OUTCOME_SUCCESS)
    assert (told.actor.id, list(told.metadata["amr"])) == (person.id, ["pwd"])
    assert await login_refused(world, person.email, "not the password") == "CREDENTIALS_INVALID"
    told = await recorded(world, person, "auth.login", outcome=audit_pb2.OUTCOME_DENIED)
    assert (told.actor.id, told.outcome_reason) == (person.id, "CREDENTIALS_INVALID")


@proves("16.3.2", "a call that its caller may not make is an event with outcome DENIED")
async def test_a_refused_authorisation_is_recorded(world, person):
    token = forged(world, person, scope="events.record")
    assert (await refusal(listing(world, token))).reason == "SCOPE_MISSING"
    told = await recorded(world, person, "audit.event.read", outcome=audit_pb2.OUTCOME_DENIED)
    assert (told.actor.id, told.outcome_reason) == (person.id, "SCOPE_MISSING")


@proves(
    "16.5.3", "what cannot be recorded is not done, and errors of our own say nothing of themselves"
)
async def test_a_login_that_cannot_be_recorded_fails_closed(world, person):
    before = world.database.execute(
        "SELECT count(*) FROM auth.sessions WHERE user_id = %s", person.id
    )
    await world.database.alter("ALTER TABLE auth.outbox RENAME TO outbox_away")
    try:
        request = auth_pb2.LoginRequest(email=person.email, password=PASSWORD)
        refused = await refusal(world.auth.Login(request))
        assert (await refusal(refresh(world, person.refresh_token))).reason == "INTERNAL"
    finally:
        await world.database.alter("ALTER TABLE auth.outbox_away RENAME TO outbox")
    assert (refused.reason, "outbox" in refused.message) == ("INTERNAL", False)
    after = world.database.execute(
        "SELECT count(*) FROM auth.sessions WHERE user_id = %s", person.id
    )
    assert before == after
