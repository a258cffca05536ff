"""What a witness remembers, whatever happens to it."""

import asyncio
import random
import stat
from contextlib import suppress
from itertools import pairwise

import aiohttp
import pytest

from smart_audit.tlog.add_checkpoint import AddCheckpoint, open_cosigned
from tests.support.witnesses import Log, WitnessProcess, run_cli, running_witness
from tests.witness.conftest import ORIGIN, new_log
from tests.witness.test_witness_server import cosigned, post, status


class Client:
    """Shows a log that its owner forks now and then, and keeps what was cosigned."""

    def __init__(self, http, witness, log, seed):
        self._http, self._witness, self._log = http, witness, log
        self._random = random.Random(seed)
        self._known, self._fork = 0, None
        self.cosigned = []

    async def run(self):
        while True:
            size = self._known + self._random.randint(0, 3)
            fork = self._random.choice([self._fork, self._fork, self._random.randint(0, size)])
            body = self._log.request(self._known, size, fork)
            with suppress(aiohttp.ClientError):
                code, _, reply = await post(self._http, self._witness, body)
                if code == 200:
                    self.cosigned.append((AddCheckpoint.parse(body).checkpoint, reply))
                    self._known, self._fork = size, fork
                elif code == 409:
                    self._known = int(reply)


def leaves_of(log, checkpoint):
    """The leaves of a state: True where a leaf is its own number, False where it is forked."""
    for fork in range(checkpoint.size + 1):
        if log.checkpoint(checkpoint.size, fork) == checkpoint:
            return [True] * fork + [False] * (checkpoint.size - fork)
    raise AssertionError("a state that was never shown")


@pytest.mark.soak
async def test_killed_at_any_time_it_never_cosigns_two_histories(tmp_path):
    known = ["--installation", new_log().vkey]
    logs = [new_log() for _ in range(4)]
    async with aiohttp.ClientSession() as http, running_witness(tmp_path / "w", known) as witness:
        verifier = await witness.verifier()
        clients = {
            log: [Client(http, witness, log, f"{number}{seed}") for seed in range(3)]
            for number, log in enumerate(logs)
        }
        running = [asyncio.create_task(one.run()) for each in clients.values() for one in each]
        chance = random.Random(7)
        for _ in range(6):
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            await witness.kill()
            await witness.start()
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
        assert await witness.verifier() == verifier
    for log, all_of_log in clients.items():
        cosigned_ones = [one for client in all_of_log for one in client.cosigned]
        for checkpoint, reply in cosigned_ones:
            open_cosigned(reply, checkpoint.text(), [verifier])
        states = sorted({checkpoint for checkpoint, _ in cosigned_ones}, key=lambda one: one.size)
        assert len(states) > 1
        for before, after in pairwise(leaves_of(log, state) for state in states):
            assert after[: len(before)] == before


async def test_two_processes_on_one_state_are_one_witness(tmp_path):
    known = ["--installation", new_log().vkey]
    async with aiohttp.ClientSession() as http, running_witness(tmp_path / "w", known) as one:
        other = WitnessProcess(one.state, known, one.name)
        await other.start()
        try:
            for _ in range(20):
                log = new_log()
                bodies = [log.request(0, 5, fork=fork) for fork in (None, 0, 1, 2)]
                answers = await asyncio.gather(
                    *(status(http, each, body) for each in (one, other) for body in bodies)
                )
                assert sorted(answers) == [200, *[409] * 7]
        finally:
            assert await other.stop() == 0


async def test_the_private_key_is_the_owners_alone_and_never_shown(tmp_path):
    state = tmp_path / "w"
    async with running_witness(state, ["--log", Log("log.example/a").vkey]) as witness:
        vkey = await witness.vkey()
    key_file = state / "key.json"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    secret = key_file.read_text().split('"private_key": "')[1].split('"')[0]
    assert secret not in "\n".join(witness.said)
    assert secret not in vkey
    key_file.chmod(0o644)
    code, _, err = await run_cli("witness", "key", "--state", state)
    assert code == 1
    assert "others may read" in err


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda state: (state / "state.sqlite3").unlink(), "forgotten what it cosigned"),
        (lambda state: (state / "key.json").write_text("{}"), "does not hold a name and"),
        (lambda state: (state / "state.sqlite3").write_bytes(b"x" * 5000), "not a database"),
    ],
)
async def test_a_witness_does_not_start_on_a_state_that_is_lost(tmp_path, spoil, sentence):
    state, known = tmp_path / "w", ["--log", Log("log.example/a").vkey]
    async with running_witness(state, known):
        pass
    spoil(state)
    code, out, err = await run_cli("witness", "serve", "--state", state, *known)
    assert (code, out) == (1, "")
    assert sentence in err
    assert "Traceback" not in err


async def test_a_key_keeps_its_name(tmp_path):
    state, known = tmp_path / "w", ["--log", Log("log.example/a").vkey]
    async with running_witness(state, known, "witness.example/first"):
        pass
    serve = ["witness", "serve", "--state", state, *known]
    code, _, err = await run_cli(*serve, "--name", "witness.example/second")
    assert code == 1
    assert "that of witness.example/first" in err


VKEY = Log("log.example/a").vkey


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--name", "w"], "no log is known"),
        (["--name", "w", "--log", "nonsense"], "not a verifier key"),
        (["--name", "w", "--log", VKEY.replace("/a+", "/b+")], "the key id of"),
        (["--name", "w", "--installation", VKEY], "does not end with /<uuid>"),
        (["--log", VKEY], "needs --name"),
        (["--name", "a b", "--log", VKEY], "not a key name"),
        (["--name", "w", "--log", VKEY, "--listen", "7380"], "not host:port"),
        (["--name", "w", "--logs", "/nowhere/logs"], "/nowhere/logs"),
    ],
)
async def test_what_cannot_be_served_is_said_in_a_sentence(tmp_path, options, sentence):
    code, out, err = await run_cli("witness", "serve", "--state", tmp_path / "w", *options)
    assert code in {1, 2}
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert not (tmp_path / "w" / "key.json").exists()


async def test_there_is_no_key_before_the_first_start(tmp_path):
    code, out, err = await run_cli("witness", "key", "--state", tmp_path)
    assert (code, out) == (1, "")
    assert "holds no witness" in err


@pytest.mark.soak
async def test_logs_are_known_by_key_by_file_and_by_installation(tmp_path):
    one, two, rotated = Log("log.example/a"), Log("log.example/b"), Log("log.example/b")
    file = tmp_path / "logs"
    file.write_text(f"log {two.vkey}\nlog {rotated.vkey}\nquorum none\n")
    known = ["--log", one.vkey, "--logs", str(file), "--installation", new_log().vkey]
    async with aiohttp.ClientSession() as http, running_witness(tmp_path / "w", known) as witness:
        for log in (one, two, new_log(), new_log()):
            await cosigned(http, witness, log.request(0, 3))
        await cosigned(http, witness, rotated.request(3, 4))
        assert await status(http, witness, Log(f"{ORIGIN}/x").request(0, 3)) == 404
    file.write_text("log x\nquorum none\n")
    code, _, err = await run_cli("witness", "serve", "--state", tmp_path / "v", *known)
    assert code == 1
    assert f"{file}: line 1" in err
