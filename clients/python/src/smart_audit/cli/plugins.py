"""Commands that other packages add to this command line."""

from importlib.metadata import entry_points

import typer

from smart_audit.cli.text import complain


def add_plugins(app: typer.Typer, group: str) -> None:
    """Load the entry points of a group; each is a callable register(app) that adds commands."""
    for plugin in entry_points(group=group):
        try:
            plugin.load()(app)
        except ImportError as error:
            # A broken neighbour must not keep anybody from verifying a log.
            complain(f"the commands of {plugin.value} are missing: {error}")
