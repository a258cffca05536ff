"""Commands are imported when they are run: what is fast stays so, and lists say what is true."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from smart_audit.cli.commands import COMMANDS

SLOW = ["grpc", "google.protobuf", "protobuf", "httpx", "psycopg"]
IMPORTED = f"""
import sys
sys.argv[0] = "smart-audit"
from smart_audit.cli.main import main
try:
    main()
finally:
    print([name for name in {SLOW!r} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["verify", "--help"]], ids=" ".join)
def test_what_there_is_is_shown_without_grpc(arguments):
    command = [sys.executable, "-c", IMPORTED, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Commands" in ended.stdout
    assert ended.stderr == "[]\n"


@pytest.mark.parametrize("leaf", list(COMMANDS.leaves()), ids=lambda leaf: leaf.place)
def test_a_summary_is_how_the_help_begins(leaf):
    module, _, name = leaf.place.partition(":")
    function = getattr(import_module(module), name)
    text = " ".join((inspect.getdoc(function) or "").split())
    assert leaf.summary.endswith(".")
    assert text.startswith(leaf.summary[:-1])
