"""CEF lines are read back by its rules."""

import json
import re

import pytest
from hypothesis import given

from smart_audit.audit.domain import Actor, Outcome, Target
from smart_audit.audit.formats import FormatName, open_format
from smart_audit.audit.formats.product import product_version
from tests.formats.making import RECORDED, new_event, recorded

CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def lines(*events):
    format_ = open_format(FormatName.CEF)
    data = format_.begin() + format_.lines(events) + format_.end()
    assert data.endswith(b"\n")
    return data.decode().removesuffix("\n").split("\n")


def read(line):
    """(header, extension) of a line."""
    *header, extension = _header(line)
    return header, extension


def _header(line):
    """Seven fields, and the rest as it stands."""
    fields, current, place = [], "", 0
    while len(fields) < 7:
        one = line[place]
        if one == "\\":
            place += 1
            current += line[place]
        elif one == "|":
            fields.append(current)
            current = ""
        else:
            current += one
        place += 1
    return [*fields, _extension(line[place:])]


def _extension(text):
    """A value ends before the next key; an equals sign in a value is escaped."""
    starts = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return {
        start[1]: _unescaped(text[start.end() : end])
        for start, end in zip(starts, ends, strict=True)
    }


def _unescaped(value):
    names = {"n": "\n", "r": "\r"}
    return re.sub(r"\\(.)", lambda found: names.get(found[1], found[1]), value)


def shown(text):
    """What a value becomes: controls without an escape are replaced."""
    return CONTROLS.sub("\ufffd", text)


@given(RECORDED)
def test_every_value_comes_back_by_the_rules(one):
    (line,) = lines(one)
    header, fields = read(line)
    event = one.event
    assert header[:4] == ["CEF:0", "Smart Audit", "Smart Audit", product_version()]
    assert header[4] == event.action
    assert fields["externalId"] == str(event.id)
    assert fields["suid"] == shown(event.actor.id)
    assert fields.get("suser", "") == shown(event.actor.email or event.actor.name)
    assert fields.get("requestClientApplication", "") == shown(event.user_agent)
    assert fields.get("reason", "") == shown(event.outcome_reason)
    assert json.loads(fields.get("cs2", "{}")) == json.loads(
        shown(json.dumps(event.metadata, ensure_ascii=False))
    )


@pytest.mark.parametrize(
    ("outcome", "severity"), [(Outcome.SUCCESS, "3"), (Outcome.FAILURE, "5"), (Outcome.DENIED, "7")]
)
def test_how_it_ended_is_the_severity(outcome, severity):
    header, fields = read(lines(recorded(new_event(outcome=outcome)))[0])
    assert header[4:] == ["document.delete", "document delete", severity]
    assert fields["outcome"] == outcome.name.lower()


def test_special_characters_are_escaped_to_the_letter():
    actor = Actor("u|1", "user", "a\\b=c\nd\re|f")
    (line,) = lines(recorded(new_event(actor=actor)))
    assert " suid=u|1 suser=a\\\\b\\=c\\nd\\re|f " in line


@pytest.mark.parametrize(
    ("address", "field"),
    [("192.0.2.7", "src"), ("2001:db8::7", "c6a2"), ("ec2.amazonaws.com", "shost")],
)
def test_an_address_is_in_the_field_of_its_kind(address, field):
    _, fields = read(lines(recorded(new_event(source_address=address)))[0])
    assert {name: fields[name] for name in ("src", "c6a2", "shost") if name in fields} == {
        field: address
    }


def test_the_person_it_was_done_to_is_the_destination():
    targets = (Target("d_1", "document"), Target("u_2", "user", "Bob"))
    _, fields = read(lines(recorded(new_event(targets=targets)))[0])
    assert (fields["duid"], fields["duser"]) == ("u_2", "Bob")
    assert [one["id"] for one in json.loads(fields["cs1"])] == ["d_1", "u_2"]


def test_what_is_longer_than_cef_allows_is_left_out_and_named():
    one = recorded(new_event(metadata={"a": "x" * 4000}, user_agent="y" * 2000))
    _, fields = read(lines(one)[0])
    assert not {"cs2", "cs2Label", "requestClientApplication"} & fields.keys()
    assert (fields["cs5Label"], fields["cs5"]) == (
        "tooLongForCef",
        "requestClientApplication metadata",
    )


def test_what_was_erased_is_named():
    _, fields = read(lines(recorded(erased=["actor.name", "metadata"]))[0])
    assert (fields["cs4Label"], fields["cs4"]) == ("erasedFields", "actor.name metadata")
