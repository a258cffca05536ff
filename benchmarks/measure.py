"""A line of the table: what we do against its limit, in turns, and the medians of both."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from statistics import median

from benchmarks.system import System


@dataclass(frozen=True, slots=True)
class Done:
    """One half of a round: `count` operations in `seconds`.

    `client_cores` is how much of a core this process used meanwhile: near 1, the client and not
    the server is what was measured.
    """

    count: int
    seconds: float
    client_cores: float

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.count / self.seconds


class Stopwatch:
    """Times the operations alone, not what prepares or checks them."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def done(self, count: int) -> Done:
        """What was done since the stopwatch was made."""
        seconds = time.perf_counter() - self._wall
        return Done(count, seconds, (time.process_time() - self._cpu) / seconds)


Half = Callable[[], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class Pair:
    """The two halves of each round."""

    ours: Half
    limit: Half


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A line. `prepare` opens what both halves need; its float scales the work, 1 by default.

    `limit` says what ours is compared with.
    """

    name: str
    unit: str
    limit: str
    prepare: Callable[[System, float], AbstractAsyncContextManager[Pair]]


@dataclass(frozen=True, slots=True)
class Figure:
    """The rates of all rounds, per second."""

    median: float
    min: float
    max: float
    client_cores: float


@dataclass(frozen=True, slots=True)
class Result:
    """A finished line; `ratio` is the median of the rounds' own ratios, ours by limit.

    A round's halves are neighbours in time, so the machine's moods cancel out in their ratio.
    """

    name: str
    unit: str
    ours: Figure
    limit_name: str
    limit: Figure
    ratio: float
    rounds: int


async def run(benchmark: Benchmark, system: System, rounds: int, scale: float) -> Result:
    """Measure one line: a round to warm up, then `rounds` of ours and the limit in turn."""
    ours: list[Done] = []
    limit: list[Done] = []
    async with benchmark.prepare(system, scale) as pair:
        for _ in range(1 + rounds):
            ours.append(await pair.ours())
            limit.append(await pair.limit())
    del ours[0], limit[0]
    ratios = [mine.rate / other.rate for mine, other in zip(ours, limit, strict=True)]
    return Result(
        benchmark.name,
        benchmark.unit,
        _figure(ours),
        benchmark.limit,
        _figure(limit),
        median(ratios),
        rounds,
    )


def _figure(halves: list[Done]) -> Figure:
    rates = [half.rate for half in halves]
    cores = median(half.client_cores for half in halves)
    return Figure(median(rates), min(rates), max(rates), cores)
