"""Parquet is written as a stream and read back by Arrow."""

import io
import json
import sys
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from smart_audit.audit.errors import ExportFormatUnavailable
from smart_audit.audit.formats import FormatName, open_format
from tests.formats.making import RECORDED, new_event, recorded


def written(*chunks):
    format_ = open_format(FormatName.PARQUET)
    return b"".join([format_.begin(), *(format_.lines(chunk) for chunk in chunks), format_.end()])


def rows(*chunks):
    return parquet.read_table(io.BytesIO(written(*chunks))).to_pylist()


@given(st.lists(RECORDED, max_size=3))
@settings(max_examples=20)
def test_every_value_comes_back(events):
    for row, one in zip(rows(events), events, strict=True):
        event = one.event
        assert row["id"] == str(event.id)
        assert row["log_index"] == one.log_index
        assert (row["occurred_at"], row["recorded_at"]) == (event.occurred_at, one.recorded_at)
        assert row["occurred_at"].tzinfo.utcoffset(None) == UTC.utcoffset(None)
        assert row["outcome"] == event.outcome.name
        assert (row["actor_id"], row["actor_name"]) == (event.actor.id, event.actor.name or None)
        assert [(one["id"], one["type"] or "", one["name"] or "") for one in row["targets"]] == [
            (target.id, target.type, target.name) for target in event.targets
        ]
        assert json.loads(row["metadata"] or "{}") == event.metadata
        assert row["erased_fields"] == list(one.erased)


def test_types_are_those_of_a_table():
    schema = parquet.read_schema(io.BytesIO(written([recorded()])))
    assert str(schema.field("occurred_at").type) == "timestamp[us, tz=UTC]"
    assert str(schema.field("log_index").type) == "int64"
    assert str(schema.field("targets").type).startswith("list<")
    assert str(schema.field("metadata").type) == "string"


def test_a_file_without_events_is_a_table_without_rows():
    assert rows() == []


def test_row_groups_leave_as_they_fill():
    one = recorded(new_event(metadata={"text": "x" * 100_000}))
    format_ = open_format(FormatName.PARQUET)
    parts = [format_.begin(), *(format_.lines([one] * 10) for _ in range(40)), format_.end()]
    assert sum(bool(part) for part in parts[1:-1]) > 1
    file = parquet.ParquetFile(io.BytesIO(b"".join(parts)))
    assert file.metadata.num_rows == 400
    assert file.metadata.num_row_groups == sum(bool(part) for part in parts[1:])


def test_without_arrow_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "smart_audit.audit.formats.parquet", raising=False)
    with pytest.raises(ExportFormatUnavailable, match=r"smart-audit-audit\[parquet\]"):
        open_format(FormatName.PARQUET)
    open_format(FormatName.JSONL)
