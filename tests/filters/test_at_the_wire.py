"""ListEvents with a filter: what is found, in which order, page by page, and what is refused."""

import asyncio
from datetime import timedelta

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2, governance_pb2
from tests.filters.conftest import COUNT
from tests.filters.malformed import MALFORMED
from tests.filters.strategies import START
from tests.support.events import event, record_batch
from tests.support.world import refusal


async def listed(world, user, **request):
    return await world.events.ListEvents(
        audit_pb2.ListEventsRequest(**request), metadata=user.metadata
    )


async def found(world, user, text, **request):
    """The actions of all events that a filter finds, in order."""
    answer = await listed(world, user, filter=text, page_size=500, **request)
    assert answer.next_page_token == ""
    return [one.action for one in answer.events]


async def refused(world, user, **request):
    return await refusal(
        world.events.ListEvents(audit_pb2.ListEventsRequest(**request), metadata=user.metadata)
    )


async def test_what_is_malformed_is_refused_at_its_column(world, owner):
    async def fault(text, column):
        said = await refused(world, owner, filter=text)
        told = (said.code, said.reason, said.metadata["column"], list(said.fields))
        right = (grpc.StatusCode.INVALID_ARGUMENT, "FILTER_INVALID", str(column), ["filter"])
        return () if told == right else (text, told)

    for first in range(0, len(MALFORMED), 50):
        faults = await asyncio.gather(
            *(fault(text, column) for text, column in MALFORMED[first : first + 50])
        )
        assert [one for one in faults if one] == []


OURS = "occurred_at<2026-02-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("action=door.open", ["door.open"]),
        ("action:door", ["door.close", "door.open"]),
        ("action:secret", ["GetSecretValue"]),
        ("action:getsecretvalue", ["GetSecretValue"]),
        ("action:GetSecretValue", ["GetSecretValue"]),
        ("action=getsecretvalue", []),
        ("action=*.open", ["door.open"]),
        ("action=d*r.*o*n", ["door.open"]),
        ("action=door_open", []),
        ("action>=door.close action<door.p", ["door.close", "door.open"]),
        ("action!=door.* source!=bot", ["call", "mail", "GetSecretValue"]),
        ("outcome=DENIED", ["GetSecretValue"]),
        ("outcome=(denied OR FAILURE)", ["door.close", "GetSecretValue"]),
        ("NOT outcome=SUCCESS", ["door.close", "GetSecretValue"]),
        ("outcome_reason:jammed", ["door.close"]),
        ("outcome_reason=JammedLock", ["door.close"]),
        ("outcome_reason:*", ["door.close"]),
        ('actor.id="u_1"', ["door.open"]),
        ("actor.id=u_* -actor.id=*2", ["door.open"]),
        ("actor.type=user", ["door.open"]),
        ("actor.name=Ada", []),
        ("actor.name:ADA", ["door.open"]),
        ('actor.name="Ada Lovelace"', ["door.open"]),
        ('actor.name:"lovelace ada"', ["door.open"]),
        ("actor.email=ada@a.test", ["door.open"]),
        ("targets.id:d_1", ["door.open"]),
        ("target.id=d_*", ["door.open"]),
        ("target.type=do*", ["door.open"]),
        ("target.type=door", ["door.open"]),
        ("target.name:gate", ["door.open"]),
        ("targets:*", ["door.open"]),
        ("metadata.to.city:york", ["mail"]),
        ("metadata.to:*", ["mail"]),
        ("metadata:to", ["mail"]),
        ('metadata."to".city="New York"', ["mail"]),
        ('metadata.to.city!="Paris"', ["mail"]),
        ('metadata.to.city!="New York"', []),
        ('metadata.tags="b c"', ["call"]),
        ("metadata.tags:7", ["call"]),
        ("metadata.tags=7.0", ["call"]),
        ("metadata.ok=true", ["call"]),
        ("user_agent:mozilla", ["agent"]),
        ("user_agent:*", ["agent"]),
        ("source=bot", ["agent"]),
        ("source=b*", ["agent"]),
        ("lovelace gate", ["door.open"]),
        ("york OR mozilla", ["agent", "mail"]),
        ("jammed action:door OR york", ["door.close"]),
        ("New York", ["mail"]),
        ("occurred_at<2026-01-01T01:00:00Z", ["GetSecretValue"]),
        ('occurred_at="2026-01-01T02:00:00+01:00"', ["door.open"]),
        ("occurred_at>2026-01-01T04:00:00Z OR action=mail", ["agent", "mail"]),
        ("NOT (action:door OR action=(mail OR call)) source!=bot", ["GetSecretValue"]),
        ("log_index<0", []),
        ("recorded_by=nobody", []),
    ],
)
async def test_a_filter_finds_what_it_asks_for(world, doors, text, actions):
    assert await found(world, doors, f"({text}) {OURS}") == actions


async def test_a_filter_and_the_fields_are_joined_by_and(world, doors):
    assert await found(world, doors, "action:door", actor_id="u_1") == ["door.open"]
    assert await found(world, doors, "action:door", outcome=3) == []
    assert await found(world, doors, "action:door", target_id="d_1") == ["door.open"]
    assert await found(world, doors, "action:door", action="mail") == []


async def test_an_event_is_found_by_its_id_and_by_its_place(world, doors):
    answer = await listed(world, doors, filter=f"action=mail {OURS}")
    (mail,) = answer.events
    assert await found(world, doors, f"id={mail.id}") == ["mail"]
    assert await found(world, doors, f"log_index={mail.log_index}") == ["mail"]
    assert await found(world, doors, f"NOT id={mail.id} action=mail") == []
    when = mail.recorded_at.ToJsonString()
    assert "mail" in await found(world, doors, f"recorded_at={when}")
    assert await found(world, doors, f"recorded_at<{when} {OURS}") == []
    assert "mail" in await found(world, doors, f"recorded_by={mail.recorded_by}")


INJECTED = [
    "'; DROP TABLE audit.search_events; --",
    "' OR '1'='1",
    '" OR ""="',
    "1; SELECT pg_sleep(10)",
    "%",
    "_",
    "\\",
    "%(organisation_id)s",
    ":param_1",
    "{}",
    "$1",
    "ARRAY[1]::bigint[]",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "\U0001f600",
    "\\u0000",
    "NULL",
]


@pytest.mark.parametrize("field", ["action", "actor.id", "target.id", "source", "metadata.x"])
async def test_injected_sql_finds_nothing_and_breaks_nothing(world, owner, field):
    literals = [_quoted(text) for text in INJECTED]
    assert await found(world, owner, f"{field}=({' OR '.join(literals)})") == []
    assert await found(world, owner, f"{field}=({' AND '.join(literals)})") == []
    words = [literal for literal in literals if any(map(str.isalpha, literal))]
    # Not among the reads, which are events too and tell what was asked.
    assert await found(world, owner, f"{' '.join(words)} {OURS}") == []
    assert await found(world, owner, f"{field}:({' '.join(words)})") == []
    if field in ("action", "target.id"):
        wild = " OR ".join(f'{literal[:-1]}*"' for literal in literals)
        assert await found(world, owner, f"{field}=({wild})") == []
    assert len((await listed(world, owner, page_size=500)).events) >= COUNT


def _quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("*", "\\*")
    return f'"{escaped}"'


@pytest.mark.parametrize("order_by", ["occurred_at desc", "occurred_at"])
@pytest.mark.parametrize("text", ["", OURS, "NOT action=none"])
async def test_pages_join_without_gap_or_repetition_while_events_arrive(
    world, owner, order_by, text
):
    request = {"filter": text, "order_by": order_by, "occurred_before": START + timedelta(days=9)}
    whole = (await listed(world, owner, page_size=500, **request)).events
    assert [(one.occurred_at.ToDatetime(), one.log_index) for one in whole] == sorted(
        [(one.occurred_at.ToDatetime(), one.log_index) for one in whole],
        reverse=order_by == "occurred_at desc",
    )
    token, collected = "", []
    for _ in range(COUNT):
        page = await listed(world, owner, page_size=15, page_token=token, **request)
        collected += [one.id for one in page.events]
        token = page.next_page_token
        if not token:
            break
        late = event(action="door.late")
        late.occurred_at.FromDatetime(START + timedelta(days=20))
        await record_batch(world, owner, [late])
    assert collected == [one.id for one in whole]


async def test_the_order_is_that_which_is_asked_for(world, doors):
    latest = await found(world, doors, OURS)
    for order_by in ("occurred_at desc", " occurred_at  desc "):
        assert await found(world, doors, OURS, order_by=order_by) == latest
    for order_by in ("occurred_at", "occurred_at asc"):
        assert await found(world, doors, OURS, order_by=order_by) == latest[::-1]


@pytest.mark.parametrize(
    "order_by", ["action", "occurred_at,action", "occurred_at up", "OCCURRED_AT", "desc", "1"]
)
async def test_another_order_is_refused(world, owner, order_by):
    said = await refused(world, owner, order_by=order_by)
    assert (said.code, said.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ORDER_BY_INVALID")
    assert list(said.fields) == ["order_by"]


@pytest.mark.parametrize(
    "changed", [{"filter": "action:open"}, {"order_by": "occurred_at"}, {"actor_id": "u_1"}]
)
async def test_a_page_token_of_another_filter_or_order_is_refused(world, owner, changed):
    same = {"filter": "action:door", "page_size": 2}
    token = (await listed(world, owner, **same)).next_page_token
    assert token
    said = await refused(world, owner, **same | changed, page_token=token)
    assert said.reason == "PAGE_TOKEN_INVALID"


async def test_a_page_token_of_another_organisation_is_refused(world, owner, doors):
    for request in ({"filter": OURS}, {}):
        token = (await listed(world, owner, page_size=2, **request)).next_page_token
        assert (await listed(world, owner, page_size=2, page_token=token, **request)).events
        said = await refused(world, doors, page_size=2, page_token=token, **request)
        assert said.reason == "PAGE_TOKEN_INVALID"


async def test_no_list_takes_a_page_token_of_another_organisation(world, owner, doors):
    lists = [
        (world.log.ListCheckpoints, audit_pb2.ListCheckpointsRequest),
        (world.governance.ListHolds, governance_pb2.ListHoldsRequest),
    ]
    for number in range(3):
        await record_batch(world, owner, [event(action=f"grow.{number}")])
        await world.log.GetCheckpoint(audit_pb2.GetCheckpointRequest(), metadata=owner.metadata)
        await world.governance.PlaceHold(
            governance_pb2.PlaceHoldRequest(target_id=f"d_{number}", reason="case 7"),
            metadata=owner.metadata,
        )
    for call, request in lists:
        token = (await call(request(page_size=1), metadata=owner.metadata)).next_page_token
        assert token
        assert await call(request(page_size=1, page_token=token), metadata=owner.metadata)
        said = await refusal(call(request(page_token=token), metadata=doors.metadata))
        assert (said.reason, list(said.fields)) == ("PAGE_TOKEN_INVALID", ["page_token"])


async def test_sizes_are_refused_or_coerced(world, owner):
    assert "page_size" in (await refused(world, owner, filter=OURS, page_size=-1)).fields
    assert (await listed(world, owner, filter=OURS, page_size=2**31 - 1)).events
    words = " OR ".join(f"action=a{number}" for number in range(100))
    assert await found(world, owner, words) == []
    said = await refused(world, owner, filter="a" * 1_000_000)
    assert said.reason == "FILTER_INVALID"


async def test_the_log_of_another_is_not_found_in(world, owner, doors):
    other = (await listed(world, owner, filter="action=door_open", page_size=1)).events[0]
    for text in (f"id={other.id}", "action=door_open", f"NOT id={other.id} action=door_open"):
        assert await found(world, doors, text) == []


async def test_what_is_found_can_be_proven(world, doors):
    answer = await listed(world, doors, filter=f"action:door {OURS}", proof=True)
    assert len(answer.proofs) == len(answer.events) == 2
    assert answer.checkpoint
