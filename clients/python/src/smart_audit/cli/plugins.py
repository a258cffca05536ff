"""Commands that other packages add."""

from importlib.metadata import entry_points

import typer

from smart_audit.cli.terminal import notices, say


def add_plugins(app: typer.Typer, group: str) -> None:
    """Let each entry point of a group, a callable register(app), add its commands."""
    for plugin in entry_points(group=group):
        try:
            plugin.load()(app)
        except ImportError as error:
            # A broken neighbour must not keep anybody from verifying a log.
            say(notices(), f"smart-audit: the commands of {plugin.value} are missing: {error}")
