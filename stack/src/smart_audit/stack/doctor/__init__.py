"""What `smart-audit doctor` sees of the system on this machine."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from smart_audit.stack import foreground, system
from smart_audit.stack.datadir import DataDir, holder
from smart_audit.stack.doctor import in_production, machine, serving
from smart_audit.stack.doctor.finding import Finding, finding
from smart_audit.stack.problem import Problem


def findings(data_dir: Path, *, production: bool, backups: Path | None) -> Iterator[Finding]:
    """What there is to see of the system, which may run or not; nothing is changed.

    backups: the folder that `smart-audit backup` is given, if there is one.
    """
    data = DataDir(data_dir.expanduser().absolute())
    named = {key: value for key, value in (dotenv_values(".env") | os.environ).items() if value}
    yield machine.space(data.root)
    yield from machine.files(data)
    try:
        pid = holder(data)
    except Problem as problem:
        yield finding("system.running", "failed", str(problem), "run this as its user")
        return
    if pid is None:
        yield from machine.free_ports()
        yield finding(
            "system.running",
            "warning",
            f"nothing runs on {data.root}",
            "start it: smart-audit up",
        )
    yield from asyncio.run(_all(_seen(data, named, pid, backups, production=production)))


async def _all(found: AsyncIterator[Finding]) -> list[Finding]:
    return [one async for one in found]


async def _seen(
    data: DataDir,
    named: Mapping[str, str],
    pid: int | None,
    backups: Path | None,
    *,
    production: bool,
) -> AsyncIterator[Finding]:
    """What the services, their database and their processes say."""
    state: dict[str, Any] = {}
    try:
        if pid is not None:
            state = data.read_state()
            yield finding("system.running", "ok", f"process {pid}, {state['gateway_url']}")
        options = foreground.options_of(foreground.Asked())
        if pid is None and options.database_url is None:
            return
        plan = await system.plan_beside(options, data)
    except Problem as problem:
        yield finding("system.running", "failed", str(problem), "see what it says")
        return
    async for one in serving.findings(plan, state):
        yield one
    if production:
        async for one in in_production.findings(plan, named, state, backups):
            yield one
