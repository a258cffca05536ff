"""Whether there is anything to migrate; without Alembic, since each start asks."""

from pathlib import Path

from psycopg import Connection, OperationalError, errors, sql


def is_done(owner_url: str, service_url: str, scripts: Path, schema: str) -> bool:
    """Whether a schema has its newest revision and the service's role gets in by its URL.

    Raises: psycopg.OperationalError when the owner does not get in.
    """
    query = sql.SQL("SELECT version_num FROM {}.alembic_version").format(sql.Identifier(schema))
    with Connection.connect(owner_url) as connection:
        try:
            found = connection.execute(query).fetchall()
        except (errors.InvalidSchemaName, errors.UndefinedTable):
            return False
    return found == [(newest(scripts),)] and is_let_in(service_url)


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
