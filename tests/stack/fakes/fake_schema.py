"""The smallest migrations: a schema of the service's own, and a count of the runs in it."""

import os

import psycopg


def migrate(service: str) -> None:
    """Make the schema as the owner, and let the service's role look into it."""
    with psycopg.connect(os.environ[f"{service.upper()}_MIGRATION_DATABASE_URL"]) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {service}")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {service}.runs (at timestamptz)")
        connection.execute(f"INSERT INTO {service}.runs VALUES (now())")
        connection.execute(f"GRANT USAGE ON SCHEMA {service} TO smart_audit_{service}")
