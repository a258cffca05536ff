"""What a recorder keeps goes into the log of its organisation, and waits for a key that works."""

import pytest

from smart_audit.api.auth.v1 import organisations_pb2
from smart_audit.client import AsyncClient, Client, Recorder
from tests.sdk.recording import arrived, flush, record, until


async def test_a_key_that_is_refused_is_no_reason_to_lose_events(
    gateway, world, machines, client, machine, source, tmp_path
):
    wrong = Client(gateway.address, api_key="sa_00000000_" + "0" * 49)
    options = {"spool": tmp_path / "spool", "linger_s": 0.01, "exit_s": 0}
    with Recorder(wrong, **options) as recorder:
        record(recorder, source, range(5))
        await until(lambda: recorder.counters.spooled == 5 and recorder.counters.trouble)
        assert "CLIENT_INVALID" in recorder.counters.trouble
    with Recorder(Client(gateway.address, api_key=machine[1].secret), **options) as recorder:
        record(recorder, f"{source}-more", [0])
        await flush(recorder)
    assert await arrived(client, source) == list(range(5))


@pytest.fixture
async def credentials(world, machines, machine):
    """By kind: somebody's, others of his organisation, and those of another organisation."""
    user, key = machine
    stranger = await world.new_user()
    scopes = ("events.read", "events.record")
    return {
        "keys": [
            {"api_key": key.secret},
            {"api_key": (await machines.new_machine(user, *scopes)).secret},
            {"api_key": (await machines.new_machine(stranger, *scopes)).secret},
        ],
        "tokens": [
            {"access_token": user.access_token},
            {"access_token": (await world.login(user.email)).access_token},
            {"access_token": stranger.access_token},
        ],
    }


@pytest.fixture
def recorder_of(cable, tmp_path, monkeypatch):
    """Makes recorders that keep events in the user's folder."""
    monkeypatch.setenv("SMART_AUDIT_SPOOL_DIR", str(tmp_path / "state"))

    def make(credentials):
        return Recorder(Client(cable.address, **credentials), linger_s=0.01, exit_s=0)

    return make


@pytest.mark.parametrize("kind", ["keys", "tokens"])
async def test_what_is_left_goes_into_the_log_of_its_organisation_alone(
    gateway, cable, client, recorder_of, credentials, source, caplog, kind
):
    own, next_one, strange = credentials[kind]
    await cable.plug()
    with recorder_of(own) as recorder:
        record(recorder, source, [0])
        await flush(recorder)
        await cable.pull()
        record(recorder, source, [1, 2])
        await until(lambda: recorder.counters.spooled == 3)
    await cable.plug()
    with recorder_of(strange) as recorder:
        record(recorder, f"{source}-strange", [0])
        await flush(recorder)
        assert recorder.counters.sent == 1
    assert "holds events of organisation" in caplog.text
    async with AsyncClient(gateway.address, **strange) as stranger:
        assert await arrived(stranger, source) == []
    with recorder_of(next_one) as recorder:
        record(recorder, source, [3])
        await flush(recorder)
    assert await arrived(client, source) == [0, 1, 2, 3]


async def test_what_a_key_left_that_was_never_exchanged_waits_for_that_key(
    cable, client, recorder_of, credentials, source, caplog
):
    own, next_one, _ = credentials["keys"]
    with recorder_of(own) as recorder:
        record(recorder, source, [0])
        await until(lambda: recorder.counters.spooled == 1)
    await cable.plug()
    for key, expected in ((next_one, [1]), (own, [1, 0, 2])):
        with recorder_of(key) as recorder:
            record(recorder, source, [expected[-1]])
            await flush(recorder)
        assert await arrived(client, source) == expected
    assert f"holds events of key {own['api_key'].rpartition('_')[0]}," in caplog.text


async def test_a_session_that_is_moved_takes_no_events_along(cable, world, recorder_of, source):
    user = await world.new_user()
    other = await world.organisations.CreateOrganisation(
        organisations_pb2.CreateOrganisationRequest(name="Other"), metadata=user.metadata
    )
    tokens = {"access_token": user.access_token, "refresh_token": user.refresh_token}
    await cable.plug()
    with recorder_of(tokens) as recorder:
        record(recorder, source, [0])
        await flush(recorder)
        moved = await world.organisations.SwitchOrganisation(
            organisations_pb2.SwitchOrganisationRequest(
                organisation_id=other.organisation.id, refresh_token=user.refresh_token
            ),
            metadata=user.metadata,
        )
        record(recorder, source, [1])
        await until(lambda: recorder.counters.trouble)
        assert user.organisation_id in recorder.counters.trouble
    async with AsyncClient(cable.address, access_token=moved.access_token) as there:
        assert await arrived(there, source) == []
