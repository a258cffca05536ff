"""`python -m smart_audit.stack up|down`."""

import typer

from smart_audit.stack.commands import register


def main_app() -> typer.Typer:
    """Return a command line with the commands of this package alone."""
    app = typer.Typer(add_completion=False, no_args_is_help=True)
    register(app)
    return app


if __name__ == "__main__":
    main_app()(prog_name="python -m smart_audit.stack")
