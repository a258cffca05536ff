"""The database and `matches` find the same events, whatever is asked."""

from uuid import UUID

import pytest
from hypothesis import example, given, settings

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.filters import matches, parse_filter
from smart_audit.audit.opening import open_database
from smart_audit.audit.settings import AuditSettings
from smart_audit.audit.use_cases.projected import projected
from smart_audit.core.sealing import Sealer
from tests.filters.conftest import COUNT
from tests.filters.strategies import asked


@pytest.fixture(scope="session")
async def finding(world, owner):
    """The owner's log as the service reads it: how to find in it, and all its events."""
    audit = AuditSettings(database_url=world.database.service_url("audit"))
    organisation_id = OrganisationId(UUID(owner.organisation_id))
    async with open_database(audit, Sealer(audit.sealing_key())) as database:
        await projected(organisation_id, database)
        async with database.finding(organisation_id) as finder:
            events = await finder.page(None, None, 10_000, oldest_first=True)
        assert len(events) >= COUNT
        yield database, organisation_id, events


async def agree(finding, expression):
    """Both find the same among the events that the log has had."""
    database, organisation_id, events = finding
    async with database.finding(organisation_id) as finder:
        found = await finder.page(expression, None, 10_000, oldest_first=True)
    known = {event.log_index for event in events}
    assert [event.log_index for event in found if event.log_index in known] == [
        event.log_index for event in events if matches(expression, event)
    ]


@settings(max_examples=30)
@given(asked())
@example(parse_filter("NOT (actor.name:* OR metadata.deep:*) OR target.type!=d*"))
@example(parse_filter("metadata.region!=eu AND NOT log_index>=20"))
async def test_the_database_and_python_agree(finding, expression):
    await agree(finding, expression)


@pytest.mark.soak
@settings(max_examples=3000)
@given(asked())
async def test_the_database_and_python_agree_at_length(finding, expression):
    await agree(finding, expression)
