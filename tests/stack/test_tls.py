"""TLS by real handshakes: at the gateway, on its way to the services, and between them."""

import json
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import grpc
import httpx
import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from smart_audit.cli.main import build
from smart_audit.stack import certificates, gateway
from smart_audit.stack.certificates import Authority
from smart_audit.stack.tls import Upstream
from tests.stack.fakes import fake_service
from tests.stack.gateways import bearer, running_gateway
from tests.stack.running import eventually


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "of the tests")


@pytest.fixture(scope="module")
def secured(tmp_path_factory, authority):
    """A gateway with a certificate, before services that want one of it."""
    own = authority.issue("gateway")
    credentials = grpc.ssl_server_credentials(
        [(own.key.read_bytes(), own.chain.read_bytes())],
        authority.certificate.read_bytes(),
        require_client_auth=True,
    )
    with running_gateway(
        tmp_path_factory.mktemp("t"),
        credentials=credentials,
        certificate=own,
        upstream=Upstream(authority.certificate, own),
        issuer="https://id.example.com",
    ) as running:
        yield running


def context(authority, **versions) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=authority.certificate)
    for name, version in versions.items():
        setattr(made, name, version)
    return made


def shaken(secured, made: ssl.SSLContext, host: str = "localhost") -> ssl.SSLSocket:
    port = int(secured.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as plain:
        return made.wrap_socket(plain, server_hostname=host)


def test_calls_go_by_tls_all_the_way(secured, authority):
    url = secured.url.replace("http://127.0.0.1", "https://localhost")
    headers = bearer("https://id.example.com")
    answer = httpx.get(f"{url}/auth/me", headers=headers, verify=context(authority))
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    with grpc.secure_channel(secured.address, credentials) as channel:
        ask = channel.unary_unary("/smart_audit.api.auth.v1.AuthService/GetJwks")
        assert fake_service.KEY_ID.encode() in ask(b"")


def run(*command: str, **environment: str) -> Result:
    return CliRunner().invoke(build(), (*command, "-o", "json"), env=environment)


def test_the_command_line_and_the_doctor_call_by_tls(secured, authority, tmp_path):
    address = f"https://localhost:{secured.address.rpartition(':')[2]}"
    names = {
        "SMART_AUDIT_ADDRESS": address,
        "SMART_AUDIT_TOKEN": fake_service.token("https://id.example.com"),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    trusting = names | {"SMART_AUDIT_CA_FILE": str(authority.certificate)}
    done = run("events", "list", **trusting)
    assert (done.exit_code, done.stderr, json.loads(done.stdout)) == (0, "", []), done.exception
    said = run("doctor", **trusting).stdout
    found = {one["check"]: one for one in json.loads(said)}
    assert found["health.gateway"]["state"] == "ok"
    assert found["clock.gateway"]["state"] == "ok"
    assert "tls.gateway" not in found

    # Nobody here vouches for it.
    said = run("doctor", **names).stdout
    (found,) = (one for one in json.loads(said) if one["check"] == "health.gateway")
    assert found["state"] == "failed"
    assert "CERTIFICATE_VERIFY_FAILED" in found["found"]
    assert "ca_file" in found["remedy"]


def test_nothing_is_said_without_tls(secured):
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{secured.url}/healthz")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{secured.url.replace('http', 'https')}/healthz")


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"]])
def test_the_protocol_is_agreed_on(secured, authority, offered):
    made = context(authority)
    made.set_alpn_protocols(offered)
    with shaken(secured, made) as connection:
        assert connection.selected_alpn_protocol() == offered[0]
        assert connection.version() == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_protocols_and_weak_ciphers_are_refused(secured, authority):
    twelve = context(authority, maximum_version=ssl.TLSVersion.TLSv1_2)
    with shaken(secured, twelve) as connection:
        assert str(connection.cipher()).startswith("('ECDHE-ECDSA-")
    twelve.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shaken(secured, twelve)
    eleven = context(authority, minimum_version=ssl.TLSVersion.TLSv1)
    eleven.maximum_version = ssl.TLSVersion.TLSv1_1
    eleven.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shaken(secured, eleven)


def test_a_renewed_certificate_is_taken_without_a_restart(secured, authority):
    before = serial(secured, authority)
    # As whoever renews certificates does it: written beside, and renamed.
    folder = authority.certificate.parent
    renewed = authority.issue("renewed")
    renewed.key.rename(folder / "gateway.key")
    renewed.chain.rename(folder / "gateway.pem")
    eventually(lambda: serial(secured, authority) != before, "the new certificate", 10)


def serial(secured, authority) -> int:
    with shaken(secured, context(authority)) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(True)).serial_number


def test_an_authority_vouches_for_this_machine_alone(authority, tmp_path):
    stranger = authority.issue("stranger", ("id.example.com",))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        served_and_checked(stranger, authority, "id.example.com")


def served_and_checked(certificate, authority, host: str) -> None:
    """Shake hands in memory."""
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate.chain, certificate.key)
    there, back = socket.socketpair()
    with ThreadPoolExecutor(1) as pool, there, back:
        server = pool.submit(served.wrap_socket, back, server_side=True)
        try:
            context(authority).wrap_socket(there, server_hostname=host).close()
        finally:
            there.close()
            server.exception(5)


def test_certificates_are_kept_private_and_made_anew_in_time(tmp_path, monkeypatch):
    made = Authority(tmp_path / "ca", "x")
    first = made.issue("gateway")
    assert {one.stat().st_mode & 0o777 for one in (first.key, tmp_path / "ca" / "ca.key")} == {
        0o600
    }
    content = first.chain.read_bytes()
    assert Authority(tmp_path / "ca", "x").issue("gateway").chain.read_bytes() == content
    monkeypatch.setattr(certificates, "_RENEWED_BEFORE", timedelta(days=398))
    assert made.issue("gateway").chain.read_bytes() != content


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"GATEWAY_TLS_KEY": "k"}, "GATEWAY_TLS_CERTIFICATE and GATEWAY_TLS_KEY go together"),
        (
            {"GATEWAY_UPSTREAM_CERTIFICATE": "c", "GATEWAY_UPSTREAM_KEY": "k"},
            "needs GATEWAY_UPSTREAM_CA",
        ),
    ],
)
def test_half_of_a_setting_is_refused(tmp_path, named, said):
    needed = {"GATEWAY_AUTH_ENDPOINTS": "a:1", "GATEWAY_AUDIT_ENDPOINTS": "b:1"}
    with pytest.raises(ValueError, match=said):
        gateway.settings_from(needed | {"GATEWAY_ISSUER": "x"} | named, tmp_path)
