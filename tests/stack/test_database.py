"""What the stack asks of a database before it starts a service."""

import pytest

from smart_audit.stack.database import are_migrated

SERVICES = ("auth", "audit")


@pytest.fixture
def database(cluster):
    return cluster.new_database()


async def migrated(database, **urls):
    of_services = {service: database.service_url(service) for service in SERVICES}
    return await are_migrated(database.owner_url, of_services | urls)


async def test_what_is_up_to_date_needs_no_migration(database):
    assert await migrated(database)


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_older_has_to_be_migrated(database, service):
    database.execute(f"UPDATE {service}.alembic_version SET version_num = '0000'")
    assert not await migrated(database)


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_not_there_has_to_be_migrated(database, service):
    database.execute(f"DROP TABLE {service}.alembic_version")
    assert not await migrated(database)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_that_does_not_get_in_is_let_in_by_a_migration(database, service):
    url = database.service_url(service).replace(f"smart_audit_{service}", "smart_audit_nobody")
    assert not await migrated(database, **{service: url})
