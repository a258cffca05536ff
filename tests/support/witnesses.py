"""A witness as a process, a log to show it, and witnesses that do not behave."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.add_checkpoint import AddCheckpoint
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.cosignature import CosignatureVerifier, Cosigner
from smart_audit.tlog.note import Signer, sign, verifier_key
from tests.support import forks
from tests.tlog import reference


@dataclass(frozen=True)
class Log:
    """A log that its owner can fork: the leaves of a branch differ from the fork on."""

    name: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @cached_property
    def signer(self) -> Signer:
        """Signs as the log."""
        return Signer(self.name, self.key)

    @property
    def vkey(self) -> str:
        """The log's verifier key."""
        return verifier_key(self.name, self.key.public_key())

    def checkpoint(self, size: int, fork: int | None = None) -> Checkpoint:
        """The state of a branch."""
        return Checkpoint(self.name, size, reference.mth(_leaves(size, fork)))

    def request(self, old: int, size: int, fork: int | None = None) -> bytes:
        """A right request to cosign a state of a branch, given that `old` is on the branch."""
        leaves = _leaves(size, fork)
        path = reference.proof(old, leaves) if 0 < old <= size else []
        note = sign(self.checkpoint(size, fork).text(), self.signer).serialise()
        return AddCheckpoint(old, tuple(path), note).body()


def _leaves(size: int, fork: int | None) -> list[bytes]:
    leaves = reference.entries(size)
    return leaves if fork is None else [*leaves[:fork], *(b"fork" for _ in leaves[fork:])]


@dataclass
class WitnessProcess:
    """`smart-audit witness serve` on a state folder; `known` are its options for known logs."""

    state: Path
    known: Sequence[str]
    name: str = "witness.example/w"
    port: int = 0
    said: list[str] = field(default_factory=list)
    process: forks.Forked | None = None
    _reading: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The submission prefix."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, and wait until it listens; after the first time on the same port."""
        options = ["--state", str(self.state), "--name", self.name, *self.known]
        self.process = await start_cli(
            "witness", "serve", *options, "--listen", f"127.0.0.1:{self.port}"
        )
        listening = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(listening))
        self.port = int((await asyncio.wait_for(listening, 60)).rpartition(":")[2])

    async def kill(self) -> None:
        """SIGKILL: no goodbye, nothing flushed."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        return await self._end(signal.SIGTERM)

    async def vkey(self) -> str:
        """What `smart-audit witness key` prints."""
        code, out, err = await run_cli("witness", "key", "--state", self.state)
        assert (code, err) == (0, "")
        return out.strip()

    async def policy_line(self) -> str:
        """The line of a policy."""
        return policy_line(self.name, await self.vkey(), self.url)

    async def verifier(self) -> CosignatureVerifier:
        """The witness's key."""
        return CosignatureVerifier.parse(await self.vkey())

    async def _read(self, listening: asyncio.Future[str]) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said.append(line.decode().rstrip())
            if " listens on " in self.said[-1]:
                listening.set_result(self.said[-1])
        if not listening.done():
            listening.set_exception(AssertionError(f"the witness did not start: {self.said}"))

    async def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        assert self._reading is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        code = await self.process.wait()
        await self._reading
        return code


@asynccontextmanager
async def running_witness(
    state: Path, known: Sequence[str], name: str = "witness.example/w"
) -> AsyncIterator[WitnessProcess]:
    """A witness while the context is open."""
    witness = WitnessProcess(state, known, name)
    await witness.start()
    try:
        yield witness
    finally:
        await witness.stop()


async def run_cli(*arguments: object) -> tuple[int, str, str]:
    """Run a command of `smart-audit` to its end: (exit code, stdout, stderr)."""
    process = await start_cli(*arguments)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return await process.wait(), out.decode(), err.decode()


async def start_cli(*arguments: object) -> forks.Forked:
    """Start a command of `smart-audit`."""
    return await forks.start(
        "smart_audit.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@dataclass
class StrangeWitness:
    """A witness whose answers are the test's, with a key that it may use or not."""

    name: str
    answer: Callable[["StrangeWitness", web.Request], Awaitable[web.StreamResponse]]
    cosigner: Cosigner = field(init=False)
    url: str = ""
    asked: int = 0

    def __post_init__(self) -> None:
        self.cosigner = Cosigner(self.name, Ed25519PrivateKey.generate())

    @property
    def policy_line(self) -> str:
        """The line of a policy."""
        return policy_line(self.name, self.cosigner.verifier.verifier_key, self.url)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Count, and answer."""
        self.asked += 1
        return await self.answer(self, request)


@asynccontextmanager
async def running_strangers(*witnesses: StrangeWitness) -> AsyncIterator[None]:
    """Let them listen, each on a port of its own."""
    runners = []
    try:
        for witness in witnesses:
            app = web.Application()
            app.router.add_post("/add-checkpoint", witness.serve)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            witness.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


def policy_line(name: str, vkey: str, url: str) -> str:
    """A witness of a policy, under its own name."""
    return f"witness {name} {vkey} {url}"


def write_policy(path: Path, quorum: str, *lines: str) -> Path:
    """A policy of witness lines; quorum: such as `2`, of all of them."""
    names = " ".join(line.split()[1] for line in lines)
    path.write_text(
        "\n".join([*lines, f"group all-of-them {quorum} {names}", "quorum all-of-them", ""])
    )
    return path
