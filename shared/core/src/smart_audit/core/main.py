"""The command line of a service: `serve`, `migrate`, and what else it offers."""

import asyncio
import gc
import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, TypeVar

import psycopg
import uvloop
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from smart_audit.core import logs, memory, metrics
from smart_audit.core.errors import DomainError
from smart_audit.core.rpc.server import background, until_signalled
from smart_audit.core.sealing import SealBroken
from smart_audit.core.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)

USAGE = 2
INTERRUPTED = 130
GC_THRESHOLD = 20_000
GIVE_BACK_EVERY_S = 60


def run(
    service: str,
    settings_type: type[S],
    running: Callable[[S], AbstractAsyncContextManager[int]],
    scripts: Path,
    **commands: Callable[..., Coroutine[Any, Any, None]],
) -> None:
    """Run what the command line asks for. Raises: SystemExit with one sentence when it cannot.

    commands: what a service offers besides `serve` and `migrate`, by name; `_` stands for `-`.
    Each takes the settings, and the command line's further words as the parameters it has.
    """
    # What has been imported stays to the end; at the end, too, nobody need look through it: that
    # would take a third of the time of a start. Services import with the collector off.
    gc.freeze()
    gc.enable()
    others = {name.replace("_", "-"): command for name, command in commands.items()}
    words: dict[str, list[str]] = {"serve": [], "migrate": []} | {
        name: list(inspect.signature(command).parameters)[1:] for name, command in others.items()
    }
    verb, *arguments = sys.argv[1:] or [""]
    if verb not in words or len(arguments) != len(words[verb]):
        sys.stderr.write(f"usage: python -m smart_audit.{service} {_usage(words)}\n")
        sys.exit(USAGE)
    settings = _read(settings_type)
    logs.configure(service, settings.log_format, settings.log_level)
    try:
        if verb == "migrate":
            _migrate(service, settings, scripts)
        elif verb in others:
            _run(others[verb](settings, *arguments))
        else:
            metrics.BUILD.labels(service, version("smart-audit-core"), python_version()).set(1)
            _run(_serve(running(settings)))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (DomainError, SealBroken, RuntimeError, DBAPIError, psycopg.Error) as error:
        sys.exit(_sentence(error, service, verb))


def _usage(words: Mapping[str, Sequence[str]]) -> str:
    return "|".join(
        " ".join([verb, *(f"<{parameter}>" for parameter in parameters)])
        for verb, parameters in words.items()
    )


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


async def _serve(server: AbstractAsyncContextManager[int]) -> None:
    async with server:
        # What is there now stays to the end: the collector need not look through it again and
        # again. Calls make little garbage in cycles, so that it may look less often, too.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        async with background(_give_memory_back):
            await until_signalled()


async def _give_memory_back() -> None:
    # What a few logins took would else stay for ever: each hash takes megabytes, and asking the
    # system for them anew each time costs half as much as the hash.
    while True:
        await asyncio.to_thread(memory.give_back)
        await asyncio.sleep(GIVE_BACK_EVERY_S)


def _sentence(error: Exception, service: str, verb: str) -> str:
    """Why a service cannot start or go on, and the remedy; never a statement or its values."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    said = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    if not isinstance(cause, psycopg.Error):
        return said
    if isinstance(cause, psycopg.OperationalError):
        return f"{service} cannot reach its database: {said}"
    if verb == "migrate":
        return f"{service} cannot be migrated: {said}"
    return f"the database is not ready for {service}: {said}; run `migrate` first"


def _read(settings_type: type[S]) -> S:
    try:
        return settings_type()
    except ValidationError as error:
        prefix = settings_type.model_config.get("env_prefix", "")
        lines = [_complaint(prefix, problem["loc"], problem["msg"]) for problem in error.errors()]
        sys.exit("\n".join(lines))


def _complaint(prefix: str, location: tuple[int | str, ...], message: str) -> str:
    name = "".join(str(part) for part in location).upper()
    if not name:
        return message
    return f"{name if name.startswith(prefix) or name == 'ENV' else prefix + name}: {message}"


def _migrate(service: str, settings: ServiceSettings, scripts: Path) -> None:
    # Alembic takes a third of a second to import, and serving needs none of it.
    from smart_audit.core import migrations  # noqa: PLC0415

    owner = settings.migration_database_url
    if owner is None:
        prefix = settings.model_config.get("env_prefix", "")
        sys.exit(f"{prefix}MIGRATION_DATABASE_URL: set it to the URL of the database's owner")
    migrations.upgrade(
        owner.get_secret_value(), settings.database_url.get_secret_value(), scripts, service
    )
