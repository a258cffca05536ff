"""What is written for programs harms neither a spreadsheet nor a terminal."""

import csv
import io
import json
import sys

import pytest

from smart_audit.cli.render import Column, Form, show

COLUMNS = [Column("action"), Column("count"), Column("ok")]
# Clears the screen, the same by C1, and turns the writing around.
NASTY = "\x1b[2J\x9b2J\N{RIGHT-TO-LEFT OVERRIDE}é\N{GRINNING FACE}"


@pytest.fixture
def written(monkeypatch):
    """What is shown, on a terminal or not."""

    def written(rows, form, *, is_terminal=False):
        out = io.StringIO()
        monkeypatch.setattr(out, "isatty", lambda: is_terminal)
        monkeypatch.setattr(sys, "stdout", out)
        show(rows, COLUMNS, form)
        return out.getvalue()

    return written


@pytest.mark.parametrize("first", "=+-@\t\r\n＝＋－＠'")
def test_no_cell_of_csv_is_a_formula(written, first):
    text = written([{"action": f"{first}1+1", "count": -1, "ok": True}], Form.CSV)
    _, row = csv.reader(io.StringIO(text, newline=""))
    assert row == [f"'{first}1+1", "-1", "true"]


@pytest.mark.parametrize("form", [Form.JSON, Form.JSONL, Form.CSV])
def test_nothing_moves_the_cursor_of_a_terminal(written, form):
    row = {"action": NASTY}
    piped, shown = (written([row], form, is_terminal=there) for there in (False, True))
    assert "\x9b" in piped
    assert all(one.isprintable() for one in shown if one != "\n")
    assert "é\N{GRINNING FACE}" in shown
    if form is not Form.CSV:
        assert json.loads(shown) == json.loads(piped)
