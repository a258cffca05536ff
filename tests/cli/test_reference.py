"""Every command says how it is used; that docs/cli.md says the same `make lint` checks."""

import pytest

from smart_audit.cli.commands import COMMANDS


@pytest.mark.parametrize("leaf", list(COMMANDS.leaves()), ids=lambda leaf: leaf.place)
def test_every_command_has_examples(leaf):
    command = leaf.load("command")
    assert (command.epilog or "").startswith("Examples:\n  ")
