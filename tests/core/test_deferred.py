"""Libraries that most installations never use are not loaded at the start."""

import subprocess
import sys

import pytest

# aiohttp asks witnesses and breached passwords, webauthn serves passkeys, rich draws tracebacks;
# traces and reports of defects are off, and nobody maps rows to objects.
OFF = ["opentelemetry", "sentry_sdk", "sqlalchemy.orm"]
RARE = {
    "auth": ["aiohttp", "webauthn", "ua_parser", "rich", "jinja2", "segno", *OFF],
    "audit": ["aiohttp", "jsonschema", "snowballstemmer.serbian_stemmer", *OFF],
}


@pytest.mark.parametrize("service", RARE)
def test_a_service_starts_without_what_is_rarely_used(service):
    # As its program prepares itself, before it finds that it does not know what it is to do.
    asked = f"""
import runpy, sys
from contextlib import suppress
with suppress(SystemExit):
    sys.argv[1:] = ["nothing"]
    runpy.run_module("smart_audit.{service}", run_name="__main__", alter_sys=True)
import smart_audit.{service}.wiring
print(*filter(sys.modules.get, sys.modules))
"""
    loaded = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [
        one for one in loaded if f"{one}.".startswith(tuple(f"{name}." for name in RARE[service]))
    ]


def test_what_is_deferred_is_the_module_itself_when_it_is_used():
    import json.tool  # noqa: PLC0415

    from smart_audit.core.deferred import deferred  # noqa: PLC0415

    stand_in = deferred("json")
    assert stand_in.tool is json.tool
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        _ = deferred("no_such_module").anything
    with pytest.raises(AttributeError, match="nothing_there"):
        _ = stand_in.nothing_there
