"""Profiles on disk, and where a client calls and as whom."""

import asyncio
from dataclasses import replace

import pytest

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.cli.calling import Calling
from smart_audit.client import (
    AsyncClient,
    ConfigError,
    Credentials,
    Profiles,
    Settings,
    Unavailable,
)
from smart_audit.client.address import Address
from tests.sdk.tls import certificate


@pytest.fixture
def profiles():
    return Profiles.of_user()


@pytest.mark.parametrize(
    ("text", "target", "tls"),
    [
        ("localhost:8000", "localhost:8000", False),
        ("http://10.0.0.1:80/", "10.0.0.1:80", False),
        ("https://audit.example.com", "audit.example.com:443", True),
        ("https://[::1]:8443", "[::1]:8443", True),
    ],
)
def test_addresses(text, target, tls):
    address = Address.parse(text)
    assert (address.target, address.tls) == (target, tls)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "is_exposed"),
    [
        ("localhost:8000", False),
        ("audit.localhost:8000", False),
        ("127.0.0.2:8000", False),
        ("[::1]:8000", False),
        ("https://audit.example.com", False),
        ("http://audit.example.com:80", True),
        ("localhost.example.com:80", True),
        ("[2001:db8::1]:8000", True),
    ],
)
def test_what_can_be_read_on_the_way_is_known(text, is_exposed):
    assert Address.parse(text).is_exposed == is_exposed


@pytest.mark.parametrize("address", ["audit.example.com:80", "https://audit.example.com"])
def test_the_command_line_says_so(monkeypatch, capsys, address):
    monkeypatch.setenv("SMART_AUDIT_ADDRESS", address)
    Calling.read("", "", None)
    assert ("without TLS" in capsys.readouterr().err) == ("https" not in address)


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "http://a", ":8000", "a:0", "a:65536", "https://a/b", "https://u@a", "a b:1"],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigError, match="is not an address"):
        Address.parse(text)


def test_a_profile_is_read_as_it_was_set(profiles):
    assert profiles.read() == profiles.read("default")
    assert profiles.names() == []
    profiles.set("work", "address", "https://audit.example.com")
    profiles.set("work", "ca_file", "/etc/our.pem")
    profiles.choose("work")
    assert profiles.read().address == "https://audit.example.com"
    profiles.set("work", "ca_file", "")
    assert profiles.read("work").ca_file == ""
    profiles.remove("work")
    assert profiles.names() == []


def test_what_a_person_wrote_stays(profiles):
    profiles.set("work", "address", "a:1")
    text = "# mine\n" + profiles.config_file.read_text()
    profiles.config_file.write_text(text)
    profiles.set("home", "address", "b:2")
    assert profiles.config_file.read_text().startswith(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[profiles", "is not TOML"),
        ("[profiles.default]\nadress = 'a:1'", "adress of profile default: there are address"),
        ("[profiles.default]\naddress = 1", "has to be text"),
        ("[profiles.default]\naddress = 'nowhere'", "is not an address"),
        ("profiles = 3", "each profile is a table"),
        ("default_profile = 'work'", "there is no profile 'work'"),
        ("default_profile = '../x'", "is not the name of a profile"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_name(profiles, text, sentence):
    profiles.config_file.parent.mkdir(parents=True)
    profiles.config_file.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        profiles.read()


def test_tokens_are_for_their_owner_alone(profiles):
    profiles.keep("default", Credentials("a:1", access_token="secret"))
    assert profiles.credentials_file.stat().st_mode & 0o777 == 0o600
    assert profiles.config_file.parent.stat().st_mode & 0o777 == 0o700
    assert "secret" not in repr(profiles.credentials("default"))
    profiles.credentials_file.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        profiles.credentials("default")


def test_the_environment_goes_before_the_profile(profiles, monkeypatch):
    profiles.set("work", "address", "https://work:1")
    profiles.set("work", "ca_file", "/work.pem")
    profiles.keep("work", Credentials("https://work:1", api_key="sa_work_1"))
    monkeypatch.setenv("SMART_AUDIT_PROFILE", "work")
    settings = Settings.read()
    assert (settings.address, settings.credentials.api_key) == ("https://work:1", "sa_work_1")
    assert str(settings.ca_file) == "/work.pem"
    # What is for one address is sent to no other.
    monkeypatch.setenv("SMART_AUDIT_ADDRESS", "https://elsewhere")
    assert Settings.read().credentials == Credentials()
    monkeypatch.setenv("SMART_AUDIT_API_KEY", "sa_other_1")
    assert Settings.read().credentials.api_key == "sa_other_1"
    monkeypatch.setenv("SMART_AUDIT_TOKEN", "token")
    assert Settings.read().credentials.access_token == "token"
    monkeypatch.setenv("SMART_AUDIT_TOKEN", "two words")
    with pytest.raises(ConfigError, match="malformed"):
        Settings.read()


async def test_renewed_tokens_go_back_to_the_profile_and_others_take_them(
    gateway, world, user, profiles
):
    profiles.set("default", "address", gateway.address)
    stale = Credentials(gateway.address, "e30.e30.e30", user.refresh_token)
    profiles.keep("default", stale)
    clients = [AsyncClient.from_env() for _ in range(4)]
    me = auth_pb2.GetMeRequest()
    try:
        answers = await asyncio.gather(*(one.call(one.services.auth.GetMe, me) for one in clients))
        assert {answer.user.id for answer in answers} == {user.id}
        kept = profiles.credentials("default")
        assert kept.access_token not in ("", stale.access_token)
        assert kept.refresh_token != stale.refresh_token
        # One that has slept for long: its refresh token is spent, and the profile's is not.
        profiles.keep("default", stale)
        late = AsyncClient.from_env()
        profiles.keep("default", kept)
        assert await late.call(late.services.auth.GetMe, me)
        assert profiles.credentials("default") == kept
        await late.close()
        # Somebody logs in elsewhere by this profile: what is for there does not come here.
        profiles.keep("default", replace(kept, access_token="e30.e30.e30"))
        stayed = AsyncClient.from_env()
        elsewhere = Credentials("localhost:1", "e30.e30.else", "elsewhere")
        profiles.keep("default", elsewhere)
        assert await stayed.call(stayed.services.auth.GetMe, me)
        assert profiles.credentials("default") == elsewhere
        await stayed.close()
    finally:
        for one in clients:
            await one.close()


async def test_tls_is_spoken_and_only_the_right_certificate_believed(gateway, machine, tmp_path):
    ca, context = certificate(tmp_path, "localhost")
    host, _, port = gateway.address.rpartition(":")

    async def forward(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(host, int(port))

        async def copy(source, sink):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(
            copy(reader, far_writer), copy(far_reader, writer), return_exceptions=True
        )

    server = await asyncio.start_server(forward, "127.0.0.1", 0, ssl=context)
    address = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    options = {"api_key": machine[1].secret, "retry_for_s": 0}
    try:
        async with AsyncClient(address, ca_file=ca, **options) as client:
            assert (await client.log.checkpoint()).size
        async with AsyncClient(address, **options) as client:
            with pytest.raises(Unavailable):
                await client.log.checkpoint()
        with pytest.raises(ConfigError, match="CA file"):
            AsyncClient(address, ca_file=tmp_path / "none.pem")
    finally:
        server.close()
