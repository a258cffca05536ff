"""`smart-audit doctor`: what it sees from outside, and what it says of faults."""

import asyncio
import json
from email.utils import formatdate

from tests.support.world import free_port


async def looked(cli, *arguments, **environment):
    """(exit code, findings by the name of the check) of the doctor."""
    result = await cli.run("doctor", *arguments, "-o", "json", **environment)
    assert result.err == ""
    found = {}
    for one in json.loads(result.out):
        found.setdefault(one["check"], []).append(one)
    return result.code, found


async def test_a_service_that_is_well_is_said_to_be(cli, tmp_path):
    code, found = await looked(cli, "--data-dir", tmp_path / "none")
    assert code == 0, found
    for check in ("python.version", "python.packages", "health.gateway", "clock.gateway"):
        assert {one["state"] for one in found[check]} == {"ok"}, found[check]
    assert [one["found"] for one in found["health.services"]] == ["auth answers", "audit answers"]
    assert found["system.running"][0]["remedy"] == "start it: smart-audit up"


async def test_a_gateway_that_is_away_is_a_fault_with_a_remedy(cli, tmp_path):
    address = f"localhost:{free_port()}"
    result = await cli.run("doctor", "--address", address, "--data-dir", tmp_path, "--quiet")
    assert result.code == 1
    assert result.err.endswith(" 1 failed\n")
    lines = result.out.splitlines()
    (at,) = [n for n, line in enumerate(lines) if line.startswith("FAIL  health.gateway")]
    assert f"http://{address} does not answer" in lines[at]
    assert "→ start it with smart-audit up" in lines[at + 1]
    assert not [line for line in lines if line.startswith("ok ")]


async def test_a_gateway_that_falls_silent_is_a_fault_of_what_is_behind_it(cli, tmp_path):
    answers = iter([f"HTTP/1.1 200 OK\r\ndate: {formatdate(usegmt=True)}\r\n\r\n"])

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(next(answers, "").encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        code, found = await looked(
            cli, "--address", f"{host}:{port}", "--data-dir", tmp_path / "none"
        )
    assert code == 1
    assert [one["state"] for one in found["health.gateway"]] == ["ok"]
    services = found["health.services"]
    assert [one["state"] for one in services] == ["failed", "failed"]
    assert services[0]["found"].startswith("auth does not answer (")
    assert services[1]["remedy"] == "see whether audit runs, and what its log says"


async def test_secrets_that_others_may_read_are_a_fault(at_home, tmp_path):
    credentials = tmp_path / "config" / "credentials.toml"
    credentials.chmod(0o644)
    code, found = await looked(at_home, "--data-dir", tmp_path / "none")
    assert code == 1
    assert found["secrets.files"][0]["remedy"] == f"chmod 600 {credentials}"


async def test_what_is_missing_for_production_is_a_fault_there(cli, tmp_path):
    code, found = await looked(cli, "--production", "--data-dir", tmp_path / "none")
    assert code == 1
    assert found["tls.gateway"][0]["state"] == "failed"
    assert found["tls.gateway"][0]["remedy"].startswith("set GATEWAY_ISSUER")
