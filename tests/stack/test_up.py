"""`up` and `down` on the real Postgres and the real Envoy, with small services."""

import json
import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.stack.fakes import fake_service
from tests.stack.running import (
    eventually,
    outside_postgres,
    refusal,
    running_stack,
    smart_audit,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    with running_stack(folder, "--workers", "2") as stack:
        yield stack


def healthy(stack) -> bool:
    try:
        return httpx.get(f"{stack.state['gateway_url']}/healthz").is_success
    except httpx.HTTPError:
        return False


def database_password(stack) -> str:
    return str(json.loads((stack.data / "secrets.json").read_text())["superuser_password"])


def test_a_running_stack_says_where_it_is_and_keeps_its_secrets(shared):
    state = shared.state
    output = (shared.folder / "output").read_text()
    assert state["gateway_url"] in output
    assert "make demo" in output
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


def test_crashed_processes_are_started_again(shared):
    killed = {}
    for name in ("auth-1", "envoy", "postgres"):
        killed[name] = shared.state["processes"][name]
        os.kill(killed[name], signal.SIGKILL)
    eventually(lambda: shared.child("bin/postgres"), "Postgres runs again")
    eventually(lambda: healthy(shared), "the gateway answers again")
    lines = [f"{name} was killed by SIGKILL; starting it again in 0.2 s" for name in killed]
    eventually(lambda: all(line in shared.log("stack") for line in lines), "a line for each")
    children = psutil.Process(shared.process.pid).children(recursive=True)
    shared.pids |= {child.pid for child in children}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_data_outlive_a_killed_supervisor_and_down_stops_cleanly(stack):
    first = stack()
    secrets = (first.data / "secrets.json").read_bytes()
    first.process.kill()
    first.process.wait()
    eventually(lambda: not first.left_over(), "no orphan is left")

    second = stack()
    assert (second.data / "secrets.json").read_bytes() == secrets
    host, password = second.state["socket_dir"], database_password(second)
    with psycopg.connect(
        host=host, user="postgres", password=password, dbname="smart_audit"
    ) as connection:
        assert connection.execute("SELECT count(*) FROM audit.runs").fetchone() == (2,)

    with ThreadPoolExecutor() as pool:
        answer = pool.submit(slow_request, second)
        time.sleep(0.4)
        done = smart_audit("down", cwd=second.folder)
        assert answer.result().status_code == 200  # a request under way is finished
    assert (done.exit_code, done.stdout.split(" on ")[0]) == (0, "stopped Smart Audit")
    assert second.process.wait(5) == 0
    assert not second.left_over()
    assert not (second.data / "state.json").exists()


def slow_request(stack) -> httpx.Response:
    event = {"id": "slow", "metadata": {"delay_s": 1.0}}
    headers = {"authorization": f"Bearer {fake_service.token(issuer=stack.state['issuer'])}"}
    url = f"{stack.state['gateway_url']}/v1/events"
    return httpx.post(url, json=event, headers=headers, timeout=10)


def test_an_outside_database_replaces_the_embedded_one(folder):
    with outside_postgres(folder, 18) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE product")
            connection.execute("CREATE DATABASE plain")
            connection.execute("ALTER DATABASE plain SET extension_control_path = '/nowhere'")

        said = refusal(smart_audit("migrate", cwd=folder, DATABASE_URL=server.url("plain")))
        assert "lacks the extension pgvector" in said

        (folder / ".env").write_text(f"DATABASE_URL={server.url('product')}\n")
        with running_stack(folder) as stack:
            assert stack.state["database"] == f"127.0.0.1:{server.port}/product"
            assert not (stack.data / "postgres").exists()

        (folder / ".smart-audit" / "secrets.json").unlink()
        assert "secrets.json is missing" in refusal(smart_audit("migrate", cwd=folder))


def test_a_migration_that_fails_is_named_with_its_last_word(folder):
    done = smart_audit("migrate", cwd=folder, FAKE_BROKEN="auth migrate")
    said = done.stderr.strip().splitlines()[-1]
    assert done.exit_code == 1
    assert "auth-migrate does not start: auth is broken on purpose (log: " in said
    log = Path(said.rpartition("(log: ")[2].rstrip(")"))
    assert "broken on purpose" in log.read_text()


def test_a_taken_port_is_named_with_its_option(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refusal(smart_audit("up", "--audit-port", port, cwd=folder))
    assert f"Port {port} for audit is taken" in said
    assert "--audit-port" in said
