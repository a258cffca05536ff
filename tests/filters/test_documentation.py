"""What docs/filters.md shows is what the service understands."""

import asyncio
import re
from pathlib import Path

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit.fields import NAMES
from smart_audit.audit.filters import parse_filter
from smart_audit.audit.filters.parsing import MAX_WILDCARDS
from smart_audit.audit.filters.syntax import MAX_CONDITIONS, MAX_DEPTH, MAX_LENGTH

TEXT = (Path(__file__).parents[2] / "docs" / "filters.md").read_text()
ROWS = re.findall(r"^\| `([^`]+)` \|", TEXT, re.MULTILINE)
EXAMPLES = [row for row in ROWS if row not in NAMES]
BLOCK = TEXT.split("```")[1].strip()


async def test_each_example_is_answered(world, doors):
    assert len(EXAMPLES) > 25
    await asyncio.gather(
        *(
            world.events.ListEvents(
                audit_pb2.ListEventsRequest(filter=example), metadata=doors.metadata
            )
            for example in [*EXAMPLES, BLOCK]
        )
    )


def test_what_is_said_to_be_the_same_is_the_same():
    assert parse_filter("NOT actor.id=u_1") == parse_filter("-actor.id=u_1")
    assert parse_filter("outcome=(DENIED OR FAILURE)") == parse_filter(
        "outcome=DENIED OR outcome=FAILURE"
    )


def test_all_fields_and_limits_are_named():
    for name in NAMES:
        assert f"`{name}`" in TEXT
    assert f"{MAX_LENGTH:,} characters, {MAX_CONDITIONS} conditions, {MAX_DEPTH} levels" in TEXT
    assert f"and {MAX_WILDCARDS} wildcards in a\nvalue" in TEXT
