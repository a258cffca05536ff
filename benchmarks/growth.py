"""`python -m benchmarks.growth`: what a log costs once it is large, against one that is new.

Two systems run side by side, each with a Postgres of its own: one with a log that has been filled,
the other with one that begins. They take turns, so that the machine's moods cancel out.
"""

import os

# Both stacks start their processes beside channels that are open: gRPC's own handlers of fork()
# would only complain. Before grpc.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import argparse
import asyncio
import json
import sys
import time
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median, quantiles
from uuid import UUID

import psutil
import uvloop

from benchmarks import machine
from benchmarks.events import EventMaker
from benchmarks.filling import fill
from benchmarks.ingest import BATCH, RECORD, check_answer, encode_batch
from benchmarks.load import raw_call, send_all
from benchmarks.measure import Stopwatch
from benchmarks.system import System, User, running_system
from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.core.sealing import Sealer
from smart_audit.stack import vault
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.problem import Problem
from smart_audit.tlog.proofs import verify_inclusion

PROVE = "/smart_audit.api.audit.v1.LogService/GetInclusionProof"
SMALL = 10_000
BATCHES = 10  # of a chunk, so that one takes about a second
CALLERS = 5
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Log:
    """A log of one of the two systems."""

    system: System
    user: User

    async def ingest(self, batches: Sequence[bytes]) -> float:
        """Record batches; gives the rate in events/s. Raises: RuntimeError for a refusal."""
        call = raw_call(self.system.audit_workers, RECORD, self.user.access_token)
        watch = Stopwatch()
        answers = await send_all(call, batches, CALLERS)
        done = watch.done(len(answers) * BATCH)
        for answer in answers:
            check_answer(answer)
        return done.rate

    async def prove(self, index: int) -> float:
        """Ask for an inclusion proof; gives the seconds it took. Raises: ProofError."""
        call = raw_call(self.system.audit, PROVE, self.user.access_token)
        request = audit_pb2.GetInclusionProofRequest(log_index=index).SerializeToString()
        started = time.perf_counter()
        answer = await call(request)
        seconds = time.perf_counter() - started
        proof = audit_pb2.GetInclusionProofResponse.FromString(answer).proof
        verify_inclusion(
            proof.leaf_hash, index, proof.tree_size, list(proof.hashes), proof.root_hash
        )
        return seconds

    def served_ms(self) -> list[float]:
        """How long the service took for each proof of this log, by its own log."""
        lines = [json.loads(line) for line in _service_log(self.system).read_text().splitlines()]
        return [
            line["duration_ms"]
            for line in lines
            if line.get("method") == PROVE and line["organisation_id"] == self.user.organisation_id
        ]


async def new_log(system: System, size: int = 0) -> Log:
    """A log that begins, or one that is filled up to `size` entries."""
    log = Log(system, await system.new_user())
    await system.settled()
    if size:
        record = raw_call(system.audit, RECORD, log.user.access_token)
        first = audit_pb2.RecordEventsRequest(events=EventMaker().events(1))
        await record(first.SerializeToString())
        await asyncio.to_thread(_fill, log, size)
    return log


def _fill(log: Log, size: int) -> None:
    secrets = vault.load_or_create(_data(log.system).secrets, data_exists=True)
    authenticate = Sealer(b64decode(secrets.audit_key_encryption_key)).authenticate
    with log.system.connect() as connection:
        fill(connection, UUID(log.user.organisation_id), size, authenticate)
        # What Postgres does after such a COPY belongs to it, and not to what is measured.
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _data(system: System) -> DataDir:
    return DataDir(system.folder / "data")


def _service_log(system: System) -> Path:
    return _data(system).log("audit-0")


def memory_mib(system: System) -> float:
    """The resident memory of the system's first process of audit."""
    (process,) = [
        child
        for child in psutil.Process().children(recursive=True)
        if str(_service_log(system)) in {file.path for file in child.open_files()}
        and "smart_audit.audit" in child.cmdline()
    ]
    rss: int = process.memory_info().rss
    return rss / MIB


async def measure_ingest(large: Log, new: Log, chunks: int) -> dict[str, object]:
    """Chunks into both logs in turn; `ratio` is the median of the turns' ratios, large by new."""
    maker = EventMaker()
    rates: dict[Log, list[float]] = {large: [], new: []}
    memory = [memory_mib(large.system)]
    for turn in range(chunks):
        order = [large, new] if turn % 2 else [new, large]
        for log in order:
            rates[log].append(await log.ingest([encode_batch(maker) for _ in range(BATCHES)]))
        memory.append(memory_mib(large.system))
    ratios = [mine / other for mine, other in zip(rates[large], rates[new], strict=True)]
    return {
        "large_per_s": median(rates[large]),
        "new_per_s": median(rates[new]),
        "ratio": median(ratios),
        "ratio_of_second_half": median(ratios[len(ratios) // 2 :]),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "memory_mib": {"before": memory[0], "after_a_chunk": memory[1], "after_all": memory[-1]},
    }


async def measure_proofs(sizes: dict[Log, int], count: int) -> dict[str, object]:
    """One proof after the other, at random places of the large log and of the small one in turn."""
    random = Random(5)
    large, small = sizes
    seconds: dict[Log, list[float]] = {large: [], small: []}
    for _ in range(count):
        for log, size in sizes.items():
            seconds[log].append(await log.prove(random.randrange(size)))
    return {
        "large_ms": median(seconds[large]) * 1000,
        "small_ms": median(seconds[small]) * 1000,
        "ratio": median(seconds[large]) / median(seconds[small]),
        "large_served_ms": _percentiles(large.served_ms(), 50, 90, 99),
        "small_served_ms": _percentiles(small.served_ms(), 50, 90, 99),
        "memory_mib": memory_mib(large.system),
    }


def _percentiles(values: Sequence[float], *numbers: int) -> dict[str, float]:
    cuts = quantiles(values, n=100)
    return {f"p{number}": cuts[number - 1] for number in numbers}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000, help="size of the large log")
    parser.add_argument("--chunks", type=int, default=20, help="of 5,000 events, into each log")
    parser.add_argument("--proofs", type=int, default=2_000, help="of each log")
    parser.add_argument("--out", type=Path, default=Path("growth.json"), help="where to write")
    options = parser.parse_args(arguments)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(_measure(options))
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    text = json.dumps(result, indent=2)
    options.out.write_text(text + "\n")
    print(text)
    return 0


async def _measure(options: argparse.Namespace) -> dict[str, object]:
    async with running_system() as old_system, running_system() as new_system:
        started = time.perf_counter()
        large = await new_log(old_system, options.events)
        filled_s = time.perf_counter() - started
        new, small = await new_log(new_system), await new_log(new_system, SMALL)
        sizes = {large: options.events, small: SMALL}
        return {
            "machine": machine.describe(old_system),
            "events": options.events,
            "filled_s": filled_s,
            "ingest": await measure_ingest(large, new, options.chunks),
            "proofs": await measure_proofs(sizes, options.proofs),
        }


if __name__ == "__main__":
    sys.exit(main())
