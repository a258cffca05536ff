"""The examples of docs/formats.md and docs/imports.md are what the code writes and reads."""

import re
from pathlib import Path
from uuid import UUID

import pytest

from smart_audit.audit.domain import EventId, Outcome, Target
from smart_audit.audit.formats import FormatName, open_format
from smart_audit.audit.formats.comma import HEADER
from smart_audit.audit.formats.product import product_version
from smart_audit.client.imports.mapping import FIELDS, parse_toml
from smart_audit.client.imports.plain import to_event
from tests.formats.making import new_event, recorded

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = recorded(
    new_event(
        id=EventId(UUID("70e5932e-9022-4b38-837e-ca10dad94eb7")),
        outcome=Outcome.DENIED,
        outcome_reason="NOT_OWNER",
        targets=(Target("d_1", "document", "Plans"),),
        metadata={"region": "eu"},
    ),
    log_index=42,
)


@pytest.mark.parametrize("name", [FormatName.JSONL, FormatName.OCSF, FormatName.CEF])
def test_the_example_is_what_the_format_writes(name):
    line = open_format(name).lines([SHOWN]).decode()
    assert f"\n{line.replace(product_version(), '0.1.0')}" in (DOCS / "formats.md").read_text()


def test_each_format_and_each_column_is_described():
    text = (DOCS / "formats.md").read_text()
    assert [name for name in FormatName if f"| `{name}` |" not in text] == []
    assert [name for name in HEADER if f"`{name}`" not in text] == []


def test_the_mapping_of_the_example_works():
    text = (DOCS / "imports.md").read_text()
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    record = {
        "event": {"name": "order.place"},
        "user": {"id": "u_1"},
        "ts": "2026-03-01T13:30:15",
        "result": "S",
        "items": [{"sku": "a"}, {"sku": "b"}],
    }
    event = to_event(record, parse_toml(toml))
    assert [(one.id, one.type) for one in event.targets] == [("a", "item"), ("b", "item")]
    assert event.occurred_at.seconds == 1772368215
    assert [name for name in FIELDS if f"`{name}`" not in text] == []
