"""CSV that spreadsheets read without executing it."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.audit.domain import Actor
from smart_audit.audit.formats import FormatName, open_format
from smart_audit.audit.leaves import time_text
from tests.formats.making import RECORDED, new_event, recorded


def written(*events):
    format_ = open_format(FormatName.CSV)
    return format_.begin() + format_.lines(events) + format_.end()


def cells(*events):
    """The rows as a reader gets them who takes the mark away."""
    rows = csv.DictReader(io.StringIO(written(*events).decode(), newline=""), strict=True)
    return [{name: cell.removeprefix("'") for name, cell in row.items()} for row in rows]


def test_the_header_stays_as_it_is():
    assert written() == (
        b"log_index,id,organisation_id,occurred_at,recorded_at,recorded_by,action,outcome,"
        b"outcome_reason,actor_type,actor_id,actor_name,actor_email,target_type,target_id,"
        b"target_name,targets,source,source_address,user_agent,metadata,erased_fields\r\n"
    )


@given(st.lists(RECORDED, min_size=1, max_size=3))
def test_every_value_comes_back(events):
    for row, one in zip(cells(*events), events, strict=True):
        event = one.event
        assert row["id"] == str(event.id)
        assert row["occurred_at"] == time_text(event.occurred_at)
        assert row["outcome"] == event.outcome.name
        assert (row["actor_id"], row["actor_name"]) == (event.actor.id, event.actor.name)
        assert (row["outcome_reason"], row["user_agent"]) == (
            event.outcome_reason,
            event.user_agent,
        )
        assert (json.loads(row["metadata"]) if row["metadata"] else {}) == event.metadata
        targets = json.loads(row["targets"]) if row["targets"] else []
        assert [(one["id"], one["type"], one["name"]) for one in targets] == [
            (target.id, target.type, target.name) for target in event.targets
        ]
        assert row["erased_fields"].split() == list(one.erased)


@given(st.lists(RECORDED, max_size=2))
def test_no_cell_begins_a_formula(events):
    for row in csv.reader(io.StringIO(written(*events).decode(), newline="")):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


@pytest.mark.parametrize("name", ['=HYPERLINK("http://a.test","x")', "@SUM(1)", "-1", "＝1", "'x"])
def test_what_a_spreadsheet_would_execute_is_marked_as_text(name):
    one = recorded(new_event(actor=Actor("u_1", "user", name)))
    row = next(csv.DictReader(io.StringIO(written(one).decode(), newline="")))
    assert row["actor_name"] == f"'{name}"
    assert row["actor_id"] == "u_1"
