"""Completion of filters: what may stand where the cursor stands."""

import pytest

from smart_audit.api.audit.v1 import event_types_pb2 as pb
from smart_audit.api.audit.v1 import event_types_pb2_grpc
from smart_audit.audit.filters import parse_filter
from smart_audit.audit.filters.completion import Place, Suggests, place_at
from tests.support.event_types import event_type, register
from tests.support.events import event, record, settled
from tests.support.governance import until

FIELD, OPERATOR, VALUE = (
    (Suggests.FIELD,),
    (Suggests.OPERATOR, Suggests.CONNECTIVE),
    (Suggests.VALUE,),
)
NAMED = (Suggests.FIELD, Suggests.OPERATOR)
NEXT = (Suggests.CONNECTIVE, Suggests.FIELD)


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("|", Place(FIELD, "", 0, 0)),
        ("acto|", Place(FIELD, "acto", 0, 4, "acto")),
        ("ac|tor.id = 3", Place(FIELD, "ac", 0, 8, "ac")),
        ("action|", Place(NAMED, "action", 0, 6, "action")),
        ("action |", Place(OPERATOR, "", 7, 7, "action")),
        ("action =|", Place(VALUE, "", 8, 8, "action")),
        ("action = |", Place(VALUE, "", 9, 9, "action")),
        ("action=docu|", Place(VALUE, "docu", 7, 11, "action")),
        ("action=do|cu AND x", Place(VALUE, "do", 7, 11, "action")),
        ('action="two wo|', Place(VALUE, "two wo", 7, 14, "action")),
        ('action="two wo|rds" x', Place(VALUE, "two wo", 7, 18, "action")),
        ('action="a" |', Place(NEXT, "", 11, 11)),
        ("a:b AND |", Place(FIELD, "", 8, 8)),
        ("a:b NOT (-out|", Place(FIELD, "out", 10, 13, "out")),
        ("(outcome=DENIED) |", Place(NEXT, "", 17, 17)),
        ("occurred_at >= 2026-01-01T0|", Place(VALUE, "2026-01-01T0", 15, 27, "occurred_at")),
        ("metadata.region = e|", Place(VALUE, "e", 18, 19, "metadata.region")),
    ],
)
def test_the_place_of_the_cursor_is_found_in_what_is_not_finished(written, place):
    cursor = written.index("|")
    assert place_at(written.replace("|", ""), cursor) == place


@pytest.mark.parametrize(
    "text", ['"', "'\\", "=!", "((", "a..", "\\", ">=<", ",", "\x00é=", "a=b)c"]
)
def test_nothing_that_is_written_breaks_it(text):
    for cursor in range(len(text) + 1):
        place = place_at(text, cursor)
        assert 0 <= place.start <= cursor <= place.end <= len(text)


async def completed(world, user, written, **request):
    cursor = written.index("|")
    stub = event_types_pb2_grpc.FilterServiceStub(world.audit_channel)
    return await stub.CompleteFilter(
        pb.CompleteFilterRequest(filter=written.replace("|", ""), cursor=cursor, **request),
        metadata=user.metadata,
    )


async def texts(world, user, written):
    return [one.text for one in (await completed(world, user, written)).suggestions]


async def test_fields_operators_and_values_of_the_log_and_of_the_registry(world):
    user = await world.new_user()
    await settled(world, user)
    schema = {
        "properties": {
            "region": {"enum": ["eu", "two words"]},
            "items": {"items": {"properties": {"fragile": {"type": "boolean"}}}},
        }
    }
    named = event_type("document.delete", schema, display_name="Deletion", description="Gone.")
    await register(world, user, named)
    await record(world, user, event(action="document.burn", source="the stove"))

    async def seen():
        return "document.burn" in await texts(world, user, "action=docu|")

    await until(seen)
    assert await texts(world, user, "action=docu|") == ["document.burn", "document.delete"]
    (deletion,) = (await completed(world, user, "action=deletion|")).suggestions
    assert (deletion.label, deletion.description) == ("Deletion", "Gone.")
    assert await texts(world, user, "targ|") == ["target.id", "target.name", "target.type"]
    assert await texts(world, user, "frag|") == ["metadata.items.fragile"]
    assert await texts(world, user, "outcome = d|") == ["DENIED"]
    assert await texts(world, user, "source:stove|") == ['"the stove"']
    assert await texts(world, user, "target.type=docu|") == ["document"]
    assert await texts(world, user, "metadata.region = |") == ["eu", '"two words"']
    assert await texts(world, user, "metadata.items.fragile=|") == ["false", "true"]
    assert await texts(world, user, "log_index |") == [
        "=",
        "!=",
        ":",
        "<",
        "<=",
        ">",
        ">=",
        "AND",
        "OR",
    ]
    answer = await completed(world, user, "source:sto|ve x")
    assert (answer.start, answer.end) == (7, 12)
    assert parse_filter(f"source:{answer.suggestions[0].text} x")
    assert len((await completed(world, user, "|", limit=3)).suggestions) == 3
    stranger = await world.new_user()
    assert await texts(world, stranger, "action=docu|") == []
