"""The command line as a person runs it: a process of its own, against real servers."""

import asyncio
import gzip
import json
import os
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import forks
from tests.support.world import PASSWORD

RECORDS = Path(__file__).parents[1] / "data" / "cloudtrail" / "events.jsonl.gz"


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass
class Cli:
    """Runs `smart-audit` with an environment of the test's."""

    environment: dict[str, str | None]

    async def run(self, *arguments, stdin=b"", **environment) -> Result:
        """Run to the end; a variable given as None is taken out of the environment."""
        process = await self.start(*arguments, **environment)
        out, err = await asyncio.wait_for(process.communicate(stdin), 120)
        return Result(await process.wait(), out.decode(), err.decode())

    async def start(
        self, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, **environment
    ) -> forks.Forked:
        """Start, with pipes to its streams if none are given."""
        merged = os.environ | self.environment | environment
        return await forks.start(
            "smart_audit.cli",
            *arguments,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={name: value for name, value in merged.items() if value is not None},
        )


@pytest.fixture
async def user(world):
    """A new user, logged in."""
    return await world.new_user()


@pytest.fixture
def cli(gateway, user, tmp_path):
    """The command line of the user, through the gateway, with a memory of its own."""
    return Cli(
        {
            "SMART_AUDIT_ADDRESS": gateway.address,
            "SMART_AUDIT_TOKEN": user.access_token,
            "SMART_AUDIT_STATE_DIR": str(tmp_path / "state"),
            "SMART_AUDIT_CONFIG_DIR": str(tmp_path / "config"),
        }
    )


@pytest.fixture
async def at_home(cli, user):
    """The command line of the user, who has logged in by it; nothing is in the environment."""
    home = Cli({**cli.environment, "SMART_AUDIT_TOKEN": None})
    done = await home.run("login", "--email", user.email, stdin=f"{PASSWORD}\n".encode())
    assert (done.code, done.out) == (0, ""), done.err
    return home


@pytest.fixture(scope="session")
def real_records():
    """The 2,900 records, as CloudTrail wrote them."""
    with gzip.open(RECORDS) as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture
def few_records(tmp_path, real_records):
    """A file of 30 records."""
    return written(tmp_path / "few.jsonl", real_records[:30])


def written(path, records):
    """Write records as JSON lines."""
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path
