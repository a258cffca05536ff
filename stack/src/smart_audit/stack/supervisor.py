"""Keeps the children running: a crashed one is started again, with growing pauses."""

import asyncio
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress

from smart_audit.stack.problem import Problem, last_line
from smart_audit.stack.process import Program, exit_words, spawn, stop

Say = Callable[[str], None]

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
# Having run this long, a child counts as healthy again and its pauses start anew.
_STEADY_S = 10.0
# Exits before the whole stack was healthy once: more than a passing fault.
_STARTS_TOLERATED = 3


class Child:
    """One supervised process, across its restarts."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self.exits = 0
        self._say = say
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The id of the current process; None while it waits to be started again."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process, and keep it running until `stop`."""
        self.exits = 0
        self._process = await spawn(self.program)
        self._task = asyncio.create_task(self._keep_running(), name=self.program.name)

    async def stop(self) -> None:
        """Stop the process for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._process is not None:
            await stop(self._process, self.program.stop_steps)

    async def retire(self, limit_s: float) -> None:
        """Let the process end by itself, for good; stop it after so many seconds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._process is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), limit_s)
            await stop(self._process, self.program.stop_steps)

    async def _keep_running(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while self._process is not None:
            started = time.monotonic()
            code = await self._process.wait()
            self._process = None
            self.exits += 1
            if time.monotonic() - started > _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            self._say(
                f"{self.program.name} {exit_words(code)}; "
                f"starting it again in {pause_s:.1f} s (log: {self.program.log})"
            )
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            self._process = await spawn(self.program)


class Supervisor:
    """All children, in the order in which they were started."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.children: list[Child] = []

    async def start(self, program: Program) -> Child:
        """Start a program and supervise it."""
        child = Child(program, self._say)
        self.children.append(child)
        await child.start()
        return child

    async def stop(self, children: list[Child]) -> None:
        """Stop some children at the same time."""
        await asyncio.gather(*(child.stop() for child in children))
        self.children = [child for child in self.children if child not in children]

    async def retire(self, child: Child, limit_s: float) -> None:
        """As `Child.retire`, of a child that another has replaced."""
        await child.retire(limit_s)
        self.children.remove(child)

    async def stop_all(self) -> None:
        """Stop what is left one after the other, the latest first."""
        for child in reversed(self.children):
            await child.stop()
        self.children.clear()

    def refuse_crash_loop(self) -> None:
        """Raise Problem when a child keeps ending during the start."""
        for child in self.children:
            if child.exits >= _STARTS_TOLERATED:
                raise crashed(child.program)

    def refuse_crash(self, name: str) -> None:
        """Raise Problem when a child has ended since it was started."""
        for child in self.children:
            if child.program.name == name and child.exits:
                raise crashed(child.program)


def crashed(program: Program) -> Problem:
    """The sentence for a program that ends when it should run, with its own last word."""
    word = last_line(program.log) or "it wrote nothing"
    return Problem(f"{program.name} does not start: {word} (log: {program.log})")
