"""A line of the table of speeds: many measurements, and what they should stay below or above."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import TypeVar

MS = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was measured.

    value: what is held against the goal. goal: at most that much, or at least where `least`.
    details: further figures, by what they are of.
    """

    name: str
    unit: str
    value: float
    goal: float | None = None
    least: bool = False
    details: dict[str, object] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.least else self.value <= self.goal


@dataclass(slots=True)
class Times:
    """How long calls took, in seconds, by what they asked for."""

    taken: dict[str, list[float]] = field(default_factory=dict)

    async def measure(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call and note how long it took."""
        started = perf_counter()
        answer = await call()
        self.taken.setdefault(what, []).append(perf_counter() - started)
        return answer

    def line(self, name: str, goal_ms: float) -> Line:
        """The 95th percentile of all calls in ms, and of each kind of call."""
        everything = [seconds for some in self.taken.values() for seconds in some]
        details: dict[str, object] = {
            what: {"median": _ms(median(some)), "p95": _ms(p95(some)), "calls": len(some)}
            for what, some in sorted(self.taken.items(), key=lambda item: -p95(item[1]))
        }
        details["all"] = {"median": _ms(median(everything)), "calls": len(everything)}
        return Line(name, "ms, p95", _ms(p95(everything)), goal_ms, details=details)


def p95(values: Iterable[float]) -> float:
    """The 95th percentile: the smallest value that is not below 95 of 100."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def _ms(seconds: float) -> float:
    return round(seconds * MS, 1)


def table(lines: Sequence[Line]) -> list[tuple[str, str, str, str, str]]:
    """Rows for people: name, value, unit, goal, whether it is reached."""
    marks = {True: "yes", False: "NO", None: ""}
    return [
        (
            line.name,
            f"{line.value:,.2f}" if line.value < 10 else f"{line.value:,.0f}",
            line.unit,
            "" if line.goal is None else f"{'≥' if line.least else '≤'} {line.goal:,g}",
            marks[line.reached],
        )
        for line in lines
    ]
