"""The services: what each finds by itself, and whether it serves."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from smart_audit.stack import health, services
from smart_audit.stack.doctor.finding import Finding, finding
from smart_audit.stack.process import Program

_CHECK_LIMIT_S = 60.0
_LONGEST_LINE = 200  # bytes
_LINE = re.compile(r"\[([a-z.-]+)\]$")


async def findings(plan: services.Plan, state: Mapping[str, Any]) -> AsyncIterator[Finding]:
    """state: of the system that runs; empty if none does."""
    programs = [_check(plan, service) for service in services.NAMES]
    for found in await asyncio.gather(*map(checked, programs)):
        for one in found:
            yield one
    yield _keys_differ(programs)
    if state:
        async for one in _processes(state):
            yield one


def _check(plan: services.Plan, service: str) -> Program:
    """A service's own look at itself; it needs the environment of a migration."""
    program = services.migration(plan, service)
    return Program(
        f"{service}-check", [*program.command[:-1], "check"], program.environment, program.log
    )


async def checked(program: Program) -> list[Finding]:
    """What a service finds by its check; why it does not even start, if it does not."""
    process = await asyncio.create_subprocess_exec(
        *program.command,
        env=dict(program.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), _CHECK_LIMIT_S)
    except TimeoutError:
        process.kill()
        remedy = "try again; then see whether the database answers"
        return [finding(program.name, "failed", f"no end in {_CHECK_LIMIT_S:.0f} s", remedy)]
    found = [_told(program.name, line) for line in out.splitlines()]
    if process.returncode:
        lines = err.decode(errors="replace").splitlines() or [f"exit code {process.returncode}"]
        found += [_refused(program.name, line) for line in lines]
    return found


def _told(name: str, line: bytes) -> Finding:
    """A finding, as a service writes it; one of its own for a line that is none."""
    try:
        said = json.loads(line)
        return {key: str(said[key]) for key in ("check", "state", "found", "remedy")}
    except (ValueError, LookupError, TypeError):
        text = line[:_LONGEST_LINE].decode(errors="replace")
        return finding(name, "failed", f"says what is no finding: {text}", "see what writes it")


def _refused(name: str, line: str) -> Finding:
    """Why a service does not start, such as `ENV=production needs … [tls.issuer]`."""
    marked = _LINE.search(line)
    return finding(
        marked[1] if marked else "settings.readable",
        "failed",
        f"{name.removesuffix('-check')} does not start",
        line[: marked.start()].strip() if marked else line,
    )


async def _processes(state: Mapping[str, Any]) -> AsyncIterator[Finding]:
    for service in services.NAMES:
        for address in state[f"{service}_addresses"]:
            if await health.grpc_check(address)():
                yield finding("health.services", "ok", f"{service} serves at {address}")
            else:
                remedy = f"its log says why: {state['logs_dir']}/{service}-0.log"
                found = f"{service} does not serve at {address}"
                yield finding("health.services", "failed", found, remedy)


def _keys_differ(programs: list[Program]) -> Finding:
    auth, audit = (
        program.environment.get(f"{service.upper()}_KEY_ENCRYPTION_KEY")
        for service, program in zip(services.NAMES, programs, strict=True)
    )
    if auth == audit:
        remedy = "give auth and audit keys of their own: openssl rand -base64 32"
        return finding("secrets.keys-differ", "failed", "auth and audit share a key", remedy)
    return finding("secrets.keys-differ", "ok", "auth and audit have keys of their own")
