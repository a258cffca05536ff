"""The tables of the code are those that the migrations make."""

from importlib.resources import files
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url

import smart_audit.audit.tables
import smart_audit.auth.tables
from smart_audit.core.migrating import newest


@pytest.mark.parametrize("service", ["auth", "audit"])
def test_tables_and_migrations_agree(world, service):
    tables = {"auth": smart_audit.auth.tables, "audit": smart_audit.audit.tables}[service]
    url = make_url(world.database.owner_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url)

    def ours(name, kind, parents):
        if kind == "schema":
            return name == service
        partition = kind == "table" and name.startswith(
            ("payloads_", "entry_targets_", "search_events_")
        )
        # The service makes an index for each model that it embeds by.
        of_model = kind == "index" and name.startswith("phrase_vectors_")
        return not partition and not of_model and name != "alembic_version"

    with engine.connect() as connection:
        options = {"include_schemas": True, "include_name": ours, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, tables.metadata)
    engine.dispose()
    assert differences == []


@pytest.mark.parametrize("service", ["auth", "audit"])
def test_the_newest_migration_is_known_without_alembic(service):
    scripts = Path(str(files(f"smart_audit.{service}"))) / "migrations"
    config = Config()
    config.set_main_option("script_location", str(scripts))
    assert newest(scripts) == ScriptDirectory.from_config(config).get_current_head()
