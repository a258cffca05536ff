"""`up` and `down`: the whole system as a person starts it, breaks it and stops it."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import grpc
import httpx
import psutil
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.rolling_restart import Load, Seen, new_user
from smart_audit.stack import doctor
from tests.stack.running import (
    eventually,
    free_port,
    outside_postgres,
    refusal,
    running_stack,
    smart_audit,
)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_the_life_of_a_stack(tmp_path):
    # One story, because each start of a whole system takes seconds.
    with running_stack(tmp_path, "--workers", "2") as stack:
        says_where_it_is_and_keeps_its_secrets(stack)
        tells_prometheus_of_each_process(stack)
        is_well_to_the_doctor(stack)
        person = starts_crashed_processes_again(stack)
        shows_mail_as_it_arrives(stack, person)
        loses_no_call_while_it_restarts(stack)
        goes_on_when_what_is_new_does_not_start(stack)
        outlives_a_killed_supervisor_and_stops_cleanly(stack, person)


def signed_up(stack) -> dict[str, str] | None:
    """Whoever has signed up, by an address of its own: a few tries with one would be throttled."""
    person = {
        "email": f"{uuid4().hex}@example.com",
        "password": "correct horse",
        "first_name": "Ada",
        "last_name": "Lovelace",
    }
    return person if post(stack, "signup", **person) == 200 else None


def post(stack, verb: str, **body: str) -> int:
    """The status of a call, 0 when nobody answers."""
    try:
        url = f"{stack.state['gateway_url']}/auth/{verb}"
        return httpx.post(url, json=body, timeout=20).status_code
    except httpx.HTTPError:
        return 0


def database_password(stack) -> str:
    return str(json.loads((stack.data / "secrets.json").read_text())["superuser_password"])


def says_where_it_is_and_keeps_its_secrets(shared):
    state = shared.state
    eventually(lambda: "make demo" in (shared.folder / "output").read_text(), "the table")
    output = (shared.folder / "output").read_text()
    assert state["gateway_url"] in output
    addresses = state["auth_addresses"] + state["audit_addresses"]
    assert len(set(addresses)) == 4
    assert addresses[0].endswith(shared.arguments[3])
    assert addresses[2].endswith(shared.arguments[5])

    assert (shared.data / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert shared.data.stat().st_mode & 0o007 == 0
    assert database_password(shared) not in json.dumps(state) + output
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=state["socket_dir"], user="postgres", dbname="smart_audit")

    for command in ("up", "migrate"):
        said = refusal(smart_audit(command, cwd=shared.folder))
        assert f"already running on {shared.data}" in said
        assert "smart-audit down" in said


def tells_prometheus_of_each_process(shared):
    targets = json.loads(Path(shared.state["metrics"]).read_text())
    found = {}
    for target in targets:
        (address,) = target["targets"]
        assert address.startswith("127.0.0.1:")
        path = target["labels"].get("__metrics_path__", "/metrics")
        found[target["labels"]["process"]] = httpx.get(f"http://{address}{path}").text
    assert set(found) == {"auth-0", "auth-1", "audit-0", "audit-1", "envoy"}
    assert all("smart_audit_ready 1.0" in found[f"auth-{number}"] for number in (0, 1))
    assert "envoy_cluster_membership_healthy" in found["envoy"]


def is_well_to_the_doctor(shared):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(shared.folder)
        patch.delenv("DATABASE_URL", raising=False)
        # What is on this machine is not asked by way of a proxy, and nobody is at this one.
        patch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
        found = {}
        for one in doctor.findings(shared.data, production=True, backups=shared.folder):
            found.setdefault(one["check"], []).append(one)
    faults = {check for check, ones in found.items() if any(one["state"] != "ok" for one in ones)}
    # It is no production, and that is all there is to say against it.
    assert faults == {
        "settings.production", "tls.issuer", "passkeys.domain", "log.origin", "log.witnessed",
        "errors.tracking", "backups.recent",
    }  # fmt: skip
    assert all(one["remedy"] for ones in found.values() for one in ones if one["state"] != "ok")
    assert len(found["health.services"]) == 4
    assert {"database.migrated", "keys.signing", "keys.checkpoint", "secrets.files"} <= set(found)


def starts_crashed_processes_again(shared):
    killed = {}
    for name in ("auth-1", "envoy", "postgres"):
        killed[name] = shared.state["processes"][name]
        os.kill(killed[name], signal.SIGKILL)
    person = eventually(lambda: signed_up(shared), "all work together again")
    lines = [f"{name} was killed by SIGKILL; starting it again in 0.2 s" for name in killed]
    eventually(lambda: all(line in shared.log("stack") for line in lines), "a line for each")
    children = psutil.Process(shared.process.pid).children(recursive=True)
    shared.pids |= {child.pid for child in children}
    return person


def shows_mail_as_it_arrives(shared, person):
    def output():
        return (shared.folder / "output").read_text()

    folder = shared.data / "mail"
    assert str(folder) in output()
    eventually(lambda: list(folder.glob("*.eml")), "the mail of the signup")
    mail = (
        f"mail to {person['email']}: Confirm .*\n  (http://localhost:\\d+/account/\\S+#token=\\S+)"
    )
    (shown,) = eventually(lambda: re.findall(mail, output()), "its link on the terminal")
    assert shown not in shared.log("stack")


def loses_no_call_while_it_restarts(shared):
    address = shared.state["gateway_url"].removeprefix("http://")
    before = shared.state["processes"]

    async def restart_under_load() -> Seen:
        user = await new_user(address)
        async with Load(address, user, rate=20.0) as load:
            for part in ("audit", "gateway"):
                done = await asyncio.to_thread(smart_audit, "restart", part, cwd=shared.folder)
                assert done.exit_code == 0, done.output
            await asyncio.sleep(0.5)
        return load.seen

    seen = asyncio.run(restart_under_load())
    assert not seen.failed
    assert seen.answered > 50
    after = shared.state["processes"]
    assert set(after) == set(before) | {"envoy-1"}  # the one before still ends what it is at
    assert not {before[name] for name in ("audit-0", "audit-1")} & set(after.values())
    shared.pids |= set(after.values())


def goes_on_when_what_is_new_does_not_start(shared):
    before = shared.state["processes"]
    (shared.folder / ".env").write_text("AUDIT_DATABASE_POOL_SIZE=0\n")
    said = refusal(smart_audit("restart", "audit", cwd=shared.folder))
    (shared.folder / ".env").unlink()
    assert "audit-stand-in does not start: AUDIT_DATABASE_POOL_SIZE" in said
    assert shared.state["processes"].items() <= before.items()


def outlives_a_killed_supervisor_and_stops_cleanly(shared, person):
    secrets = (shared.data / "secrets.json").read_bytes()
    shared.process.kill()
    shared.process.wait()
    eventually(lambda: not shared.left_over(), "no orphan is left")

    with running_stack(shared.folder, "--tls", "--mtls") as second:
        assert (second.data / "secrets.json").read_bytes() == secrets
        services_want_certificates(second)
        # One client, made before: a new one takes longer to make than a login.
        trusted = ssl.create_default_context(cafile=second.state["gateway_ca"])
        with httpx.Client(timeout=20, verify=trusted) as client, ThreadPoolExecutor(8) as pool:
            url = f"{second.state['gateway_url']}/auth/login"
            credentials = {name: person[name] for name in ("email", "password")}
            logins = [pool.submit(client.post, url, json=credentials) for _ in range(8)]
            eventually(lambda: any(login.done() for login in logins), "the first login is answered")
            done = smart_audit("down", cwd=second.folder)
            # Hashing keeps most of them waiting: requests under way are finished.
            assert [login.result().status_code for login in logins] == [200] * 8
        assert (done.exit_code, done.stdout.split(" on ")[0]) == (0, "stopped Smart Audit")
        assert second.process.wait(5) == 0
        assert not second.left_over()
        assert not (second.data / "state.json").exists()


def services_want_certificates(second):
    folder = second.data / "mtls"
    authority = (folder / "ca.pem").read_bytes()
    pair = [(folder / f"gateway.{kind}").read_bytes() for kind in ("key", "pem")]
    for address in second.state["auth_addresses"] + second.state["audit_addresses"]:
        assert serves(address, grpc.ssl_channel_credentials(authority, *pair))
        assert not serves(address, grpc.ssl_channel_credentials(authority))
        assert not serves(address, grpc.local_channel_credentials())


def serves(address: str, credentials: grpc.ChannelCredentials) -> bool:
    with grpc.secure_channel(address, credentials) as channel:
        try:
            request = health_pb2.HealthCheckRequest()
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=20)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.soak
def test_an_outside_database_replaces_the_embedded_one(folder):
    with outside_postgres(folder, 18) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE product")
            connection.execute("CREATE DATABASE plain")
            connection.execute("CREATE DATABASE frozen")
            connection.execute("ALTER DATABASE frozen SET default_transaction_read_only = on")
            connection.execute("ALTER DATABASE plain SET extension_control_path = '/nowhere'")

        said = refusal(smart_audit("migrate", cwd=folder, DATABASE_URL=server.url("plain")))
        assert "lacks the extension pgvector" in said

        said = refusal(smart_audit("migrate", cwd=folder, DATABASE_URL=server.url("frozen")))
        assert "-migrate does not start: " in said
        log = Path(said.rpartition("(log: ")[2].rstrip(")"))
        assert "read-only transaction" in said
        assert "read-only transaction" in log.read_text()

        (folder / ".env").write_text(f"DATABASE_URL={server.url('product')}\n")
        with running_stack(folder) as stack:
            assert stack.state["database"] == f"127.0.0.1:{server.port}/product"
            assert not (stack.data / "postgres").exists()

        (folder / ".smart-audit" / "secrets.json").unlink()
        assert "secrets.json is missing" in refusal(smart_audit("migrate", cwd=folder))


def test_a_taken_port_is_named_with_its_option(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refusal(smart_audit("up", "--audit-port", port, cwd=folder))
    assert f"Port {port} for audit is taken" in said
    assert "--audit-port" in said


@pytest.mark.soak
def test_restarts_again_and_again_lose_no_call():
    command = [sys.executable, "-m", "benchmarks.rolling_restart", "--rate", "100", "--rounds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
