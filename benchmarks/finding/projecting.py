"""The projector: how fast it drains a backlog, how far it lags, and what it costs the ingest."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from statistics import median
from time import perf_counter

from benchmarks.events import EventMaker
from benchmarks.finding.large_log import LOOK_EVERY_S, LargeLog, Sizes
from benchmarks.finding.lines import Line, p95
from benchmarks.ingest import BATCH, BATCHES, CALLERS, check_answer, encode_batch
from benchmarks.load import send_all

RATE_GOAL = 20_000  # events/s
LAG_GOAL_S = 2
LOSS_GOAL = 10  # percent
STEADY_S = 10.0
RECORD = "EventService/RecordEvents"


def drained(seen: Sequence[Sizes]) -> Line:
    """How fast a backlog was drained, by what was seen meanwhile."""
    # It begins a moment after it may.
    first = [one for one in seen if one.projected == seen[0].projected][-1]
    last = seen[-1]
    events, seconds = last.projected - first.projected, last.at_s - first.at_s
    rate = events / seconds if seconds else 0.0
    details: dict[str, object] = {"events": events, "seconds": round(seconds, 1)}
    name, unit = "projector, from a backlog", "events/s"
    return Line(name, unit, rate, RATE_GOAL, least=True, details=details)


async def measure(log: LargeLog, rounds: int) -> list[Line]:
    """Ingest with and without the projector in turn, then at a steady rate."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    for round_ in range(rounds + 1):
        for projecting in (True, False) if round_ % 2 else (False, True):
            await log.until_level()
            with nullcontext() if projecting else log.without_projector():
                rate = await _ingest(log)
            if round_:
                rates[projecting].append(rate)
    losses = [
        100 * (1 - with_ / without)
        for with_, without in zip(rates[True], rates[False], strict=True)
    ]
    alone = median(rates[False])
    details: dict[str, object] = {
        "with": round(median(rates[True])),
        "without": round(alone),
        "losses": [round(loss) for loss in losses],
    }
    steady = min(RATE_GOAL / 2, alone / 2)
    lag = await _lag(log, steady)
    return [
        Line("ingest lost by projecting", "%, median", median(losses), LOSS_GOAL, details=details),
        lag,
    ]


async def _ingest(log: LargeLog) -> float:
    """Record batches as fast as it goes; gives events/s."""
    maker, call = EventMaker(), log.call(RECORD)
    batches = [encode_batch(maker) for _ in range(BATCHES)]
    started = perf_counter()
    answers = await send_all(call, batches, CALLERS)
    seconds = perf_counter() - started
    for answer in answers:
        check_answer(answer)
    return len(answers) * BATCH / seconds


async def _lag(log: LargeLog, rate: float) -> Line:
    """How long after it was recorded an event is projected, while events come in steadily."""
    await log.until_level()
    ingest = asyncio.create_task(_steadily(log, rate))
    seen: list[Sizes] = []
    while not ingest.done():
        seen.append(await asyncio.to_thread(log.sizes))
        await asyncio.sleep(LOOK_EVERY_S)
    taken = await ingest
    seen += await log.until_level()
    lags = [_lag_of(number, seen) for number in range(len(seen))]
    details: dict[str, object] = {
        "events/s": round(taken),
        "median": round(median(lags), 2),
        "longest": round(max(lags), 2),
    }
    return Line("lag of the projection", "s, p95", p95(lags), LAG_GOAL_S, details=details)


async def _steadily(log: LargeLog, rate: float) -> float:
    """Record batches at a rate, or as near to it as the system comes; gives events/s."""
    maker, call = EventMaker(), log.call(RECORD)
    batches = [encode_batch(maker) for _ in range(round(STEADY_S * rate / BATCH))]
    started = perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, batch in enumerate(batches):
            await asyncio.sleep(max(0, started + number * BATCH / rate - perf_counter()))
            group.create_task(_checked(call(batch)))
    return len(batches) * BATCH / (perf_counter() - started)


async def _checked(answer: "asyncio.Future[bytes]") -> None:
    check_answer(await answer)


def _lag_of(number: int, seen: Sequence[Sizes]) -> float:
    """How long it took until all that the log had then was projected, in seconds."""
    then = seen[number]
    return next(later.at_s for later in seen[number:] if later.projected >= then.log) - then.at_s
