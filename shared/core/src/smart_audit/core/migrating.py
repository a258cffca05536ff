"""What is asked of migrations without Alembic, which takes most of a second to import."""

from pathlib import Path

from psycopg import Connection, OperationalError


def newest(scripts: Path) -> str:
    """The last revision of a folder of migrations; the names of its files begin with theirs."""
    return max(path.name for path in (scripts / "versions").glob("[0-9]*.py")).partition("_")[0]


def is_let_in(url: str) -> bool:
    """Whether a role gets into its database."""
    try:
        Connection.connect(url).close()
    except OperationalError:
        return False
    return True
