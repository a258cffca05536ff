"""A program that records 1,000 events a second does not notice that audit is killed for 30 s."""

import asyncio
import json
import sys
from pathlib import Path
from statistics import median

import grpc.aio
import pytest

from benchmarks.recorder import MAX_LINE, numbers_by_source
from benchmarks.recorder_host import SOURCES
from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.client import AsyncClient
from tests.support.processes import running_processes
from tests.support.world import PASSWORD

RATE = 1000
BEFORE_S = 10
AWAY_S = 30
AFTER_S = 10


async def new_token(port):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = auth_pb2_grpc.AuthServiceStub(channel)
        who = {"email": "ada@example.com", "password": PASSWORD}
        await stub.Signup(auth_pb2.SignupRequest(**who, first_name="Ada", last_name="Lovelace"))
        return (await stub.Login(auth_pb2.LoginRequest(**who))).access_token


@pytest.mark.soak
async def test_a_program_does_not_notice_that_the_service_is_killed(cluster, tmp_path):
    seconds = BEFORE_S + AWAY_S + AFTER_S
    async with running_processes(cluster.new_database(), tmp_path) as (auth, (audit,)):
        token = await new_token(auth.port)
        address = f"127.0.0.1:{audit.port}"
        host = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.recorder_host", address, str(tmp_path / "spool"),
            f"--rate={RATE}", f"--seconds={seconds}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert host.stdin
        assert host.stdout
        host.stdin.write(f"{token}\n".encode())
        assert await host.stdout.readline() == b"started\n"
        await asyncio.sleep(BEFORE_S)
        await audit.kill()
        await asyncio.sleep(AWAY_S)
        await audit.start()
        assert await host.stdout.readline() == b"recorded\n"
        figures = json.loads(await host.stdout.readline())
        await host.wait()
        async with AsyncClient(address, access_token=token, timeout_s=300) as client:
            await client.events.export(tmp_path / "events.jsonl")
    assert figures["flushed"]
    assert figures["accepted"] == figures["sent"] == RATE * seconds
    assert (figures["dropped"], figures["refused"]) == ({}, {})
    numbers = numbers_by_source(tmp_path / "events.jsonl")
    assert numbers == {
        f"host-{source}": list(range(source, RATE * seconds, SOURCES)) for source in range(SOURCES)
    }
    there = [took for at, took, _ in figures["calls"] if at < BEFORE_S]
    away = [took for at, took, _ in figures["calls"] if BEFORE_S + 1 < at < BEFORE_S + AWAY_S]
    assert median(away) < 2 * median(there)
