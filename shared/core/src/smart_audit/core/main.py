"""The command line of a service: `serve`, `migrate`, and what else it offers.

What a command needs is imported when it runs: most need little of what `serve` does.
"""

import gc
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TypeVar

from pydantic import ValidationError

from smart_audit.core.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)

USAGE = 2
INTERRUPTED = 130


def run(
    service: str, settings_type: type[S], scripts: Path, *, serve: str, **commands: str
) -> None:
    """Run what the command line asks for. Raises: SystemExit with one sentence when it cannot.

    serve: where the server is, as `module:name`: a function of the settings whose context is the
    time that it serves.
    commands: what a service offers besides `serve` and `migrate`, by name; `_` stands for `-`, and
    `module:name` says where. Each is a coroutine function that takes the settings, and the command
    line's further words as the parameters it has.
    """
    # What has been imported stays to the end; at the end, too, nobody need look through it: that
    # would take a third of the time of a start. Services import with the collector off.
    gc.freeze()
    gc.enable()
    others = {name.replace("_", "-"): place for name, place in commands.items()}
    verb, *arguments = sys.argv[1:] or [""]
    if verb not in {"serve", "migrate", *others} or len(arguments) != len(_words(others.get(verb))):
        words: dict[str, list[str]] = {"serve": [], "migrate": []}
        words |= {name: _words(others[name]) for name in others}
        sys.stderr.write(f"usage: python -m smart_audit.{service} {_usage(words)}\n")
        sys.exit(USAGE)
    settings = _read(settings_type)
    try:
        if verb == "migrate":
            _migrate(service, settings, scripts)
            return
        from smart_audit.core import serving  # noqa: PLC0415

        if verb == "serve":
            serving.serve(service, settings, resolve_name(serve))
        else:
            serving.run(service, settings, resolve_name(others[verb])(settings, *arguments))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        from smart_audit.core import troubles  # noqa: PLC0415

        sentence = troubles.sentence(error, service, verb)
        if sentence is None:
            raise
        sys.exit(sentence)


def _words(place: str | None) -> list[str]:
    """What a command wants to be told, besides the settings."""
    return list(inspect.signature(resolve_name(place)).parameters)[1:] if place else []


def _usage(words: Mapping[str, Sequence[str]]) -> str:
    return "|".join(
        " ".join([verb, *(f"<{parameter}>" for parameter in parameters)])
        for verb, parameters in words.items()
    )


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
    owner = settings.migration_database_url
    if owner is None:
        prefix = settings.model_config.get("env_prefix", "")
        sys.exit(f"{prefix}MIGRATION_DATABASE_URL: set it to the URL of the database's owner")
    urls = owner.get_secret_value(), settings.database_url.get_secret_value()
    # Alembic and SQLAlchemy take most of a second to import.
    from smart_audit.core import logs, migrations  # noqa: PLC0415

    logs.configure(service, settings.log_format, settings.log_level)
    migrations.upgrade(*urls, scripts, service)
