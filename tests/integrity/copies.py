"""Copies of a database: what a backup is, and what a test may spoil."""

from uuid import uuid4

import psycopg

from tests.support.database import Database


def copied(cluster, database):
    """Another database with the same rows. Nobody may be connected to the first one."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(cluster.owner_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {database.name}")
    return Database(name, database.owner_url.replace(database.name, name))


def execute(database, *statements):
    """Change something as a superuser whom no trigger stops."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement)
