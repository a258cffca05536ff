"""The cache's clock, turned forward."""

import psycopg


def elapse(connection: psycopg.Connection, seconds: float) -> None:
    """Let time go by for all that the cache in Postgres holds."""
    connection.execute(
        "UPDATE auth.cache SET open_at = open_at - make_interval(secs => %(s)s),"
        " expires_at = expires_at - make_interval(secs => %(s)s)",
        {"s": seconds},
    )
