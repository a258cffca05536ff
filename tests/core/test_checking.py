"""`python -m smart_audit.<service> check`: what a service says of itself, and how to mend it."""

import asyncio
import base64
import json

import pytest

from tests.support import forks
from tests.support.processes import plain_environment


async def checked(service, database, **named):
    """What a service finds, by the name of the check."""
    prefix = service.upper()
    settings = {
        f"{prefix}_DATABASE_URL": database.service_url(service),
        f"{prefix}_MIGRATION_DATABASE_URL": database.owner_url,
        **named,
    }
    process = await forks.start(
        f"smart_audit.{service}",
        "check",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=plain_environment() | settings,
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    found = [json.loads(line) for line in out.splitlines()]
    assert all(one["remedy"] for one in found if one["state"] != "ok")
    return {one["check"]: one for one in found}


@pytest.mark.parametrize(
    ("service", "keys"), [("auth", "keys.signing"), ("audit", "keys.checkpoint")]
)
async def test_what_is_well_is_said_to_be(world, service, keys):
    found = await checked(service, world.database)
    well = {
        "database.reachable", "database.version", "database.roles", "database.migrated",
        "clock.synchronised", keys,
    }  # fmt: skip
    assert {check for check, one in found.items() if one["state"] == "ok"} >= well
    assert "failed" not in {one["state"] for one in found.values()}
    # What production would refuse.
    assert found["settings.production"]["state"] == "warning"
    assert found["tls.issuer"]["state"] == "warning"


async def test_another_key_than_the_one_that_sealed_is_named(world):
    other = base64.b64encode(bytes(range(32))).decode()
    found = await checked("auth", world.database, AUTH_KEY_ENCRYPTION_KEY=other)
    assert found["keys.signing"]["state"] == "failed"
    assert "AUTH_KEY_ENCRYPTION_KEY" in found["keys.signing"]["found"]


async def test_a_schema_that_is_behind_is_named(cluster):
    database = cluster.new_database()
    with database.connect() as connection:
        connection.execute("UPDATE audit.alembic_version SET version_num = '0001'")
    found = await checked("audit", database)
    assert found["database.migrated"]["state"] == "failed"
    assert found["database.migrated"]["remedy"] == "run `migrate`"


async def test_a_role_that_may_too_much_is_named(cluster):
    database = cluster.new_database()
    found = await checked("audit", database, AUDIT_DATABASE_URL=database.owner_url)
    assert found["database.roles"]["state"] == "failed"
    assert "is a superuser" in found["database.roles"]["found"]


async def test_a_database_that_is_away_is_named(world):
    away = "postgresql://smart_audit_auth:x@127.0.0.1:9/nothing"
    found = await checked("auth", world.database, AUTH_DATABASE_URL=away)
    assert found["database.reachable"]["state"] == "failed"
    assert "keys.signing" not in found
