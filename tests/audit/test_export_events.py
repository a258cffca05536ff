"""ExportEvents: a file of the log as it was, that says itself where it ends."""

import asyncio
import base64
import csv
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import grpc.aio
import pyarrow.parquet
import pytest

from smart_audit.api.audit.v1 import audit_pb2, exports_pb2
from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.tlog.proofs import verify_inclusion
from tests.support.events import checkpoint, event, record, record_batch, settled
from tests.support.exports import export, stub
from tests.support.governance import erase, own_events, stamp
from tests.support.world import ended_within, read_refusal

CSV = exports_pb2.EXPORT_FORMAT_CSV


@pytest.fixture
async def user(world):
    user = await world.signed_up()
    await settled(world, user)
    return user


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return read_refusal(raised.value)


async def test_all_events_come_in_the_order_of_the_log(world, user):
    sent = [event() for _ in range(600)]
    await record_batch(world, user, sent)
    got = await export(world, user)
    assert [int(line["log_index"]) for line in got.events] == list(range(602))
    assert got.ids[2:] == [one.id for one in sent]
    assert (got.end["complete"], got.end["events"]) == (True, "602")
    assert got.content_type == "application/x-ndjson"
    assert got.headers["content-disposition"] == 'attachment; filename="events.jsonl"'
    assert max(map(len, got.messages)) < 2**20


async def test_an_empty_log_is_a_whole_file_too(world, installation_token):
    call = stub(world).ExportEvents(
        exports_pb2.ExportEventsRequest(), metadata=installation_token(str(uuid4()))
    )
    data = b"".join([body.data async for body in call])
    assert data.startswith(b'{"end":{"complete":true,"events":"0"')


async def test_large_events_come_in_messages_that_are_small_enough(world, user):
    large = {"text": "x" * 200_000}
    await record_batch(world, user, [event(metadata=large) for _ in range(12)])
    got = await export(world, user)
    assert len(got.events) == 14
    assert max(map(len, got.messages)) < 2**20
    assert got.end["complete"]


async def test_an_export_that_was_cut_goes_on_and_has_what_the_whole_one_has(world, user):
    await record_batch(world, user, [event() for _ in range(300)])
    whole = await export(world, user)
    await record_batch(world, user, [event() for _ in range(5)])
    lines = whole.data.splitlines(keepends=True)[:-1]
    for kept in (0, 1, 137, 301, 302):
        more = {"after": whole.ids[kept - 1]} if kept else {}
        rest = await export(world, user, cursor=whole.cursor, **more)
        assert b"".join([*lines[:kept], *rest.data.splitlines(keepends=True)[:-1]]) == b"".join(
            lines
        )
        assert rest.end["events"] == str(302 - kept)
        assert rest.end["cursor"] == whole.end["cursor"]


async def test_the_last_cursor_brings_what_was_recorded_since(world, user):
    first = await export(world, user)
    sent = [event() for _ in range(3)]
    await record_batch(world, user, sent)
    since = await export(world, user, cursor=first.end["cursor"])
    indexes = [int(line["log_index"]) for line in since.events]
    assert indexes == list(range(len(first.events), len(first.events) + len(indexes)))
    # That somebody has exported is an event, too.
    assert [one["id"] for one in since.events if one["action"] == "document.delete"] == [
        one.id for one in sent
    ]
    assert {one["action"] for one in since.events} == {"document.delete", "audit.event.export"}


async def test_a_table_has_rows_of_one_width_and_goes_on_without_its_header(world, user):
    await record_batch(world, user, [event(metadata={"a": 'b,"c"'}) for _ in range(4)])
    whole = await export(world, user, format=CSV)
    header, *rows, last = csv.reader(io.StringIO(whole.data.decode(), newline=""))
    assert {len(row) for row in [*rows, last]} == {len(header)}
    assert [row[header.index("log_index")] for row in rows] == [str(n) for n in range(6)]
    said = dict(pair.split("=", 1) for pair in last[0].removeprefix("#end ").split(" "))
    end = whole.data.rindex(b"#end")
    assert said["sha256"] == hashlib.sha256(whole.data[:end]).hexdigest()
    assert (said["complete"], said["events"]) == ("true", "6")
    after = rows[3][header.index("id")]
    rest = await export(world, user, format=CSV, cursor=whole.cursor, after=after)
    assert list(csv.reader(io.StringIO(rest.data.decode(), newline="")))[:-1] == rows[4:]
    assert whole.content_type.startswith("text/csv")


async def test_proofs_lead_to_the_checkpoint_of_the_last_record(world, user):
    await record_batch(world, user, [event() for _ in range(300)])
    whole = await export(world, user, proofs=True)
    _, size, root, *_ = whole.end["checkpoint"].splitlines()
    for line in whole.events:
        proof = line["proof"]["inclusion_proof"]
        assert proof["tree_size"] == size
        verify_inclusion(
            base64.b64decode(proof["leaf_hash"]),
            int(line["log_index"]),
            int(size),
            [base64.b64decode(one) for one in proof["hashes"]],
            base64.b64decode(root),
        )
    await record(world, user, event())
    rest = await export(world, user, proofs=True, cursor=whole.cursor, after=whole.ids[250])
    assert rest.events == whole.events[251:]
    assert rest.end["checkpoint"].splitlines()[:3] == whole.end["checkpoint"].splitlines()[:3]


async def test_erased_fields_stay_erased(world, user):
    await record(world, user, event(actor=audit_pb2.Actor(id="u_7", name="Grace Hopper")))
    await erase(world, user, "u_7")
    got = await export(world, user)
    (line,) = [one for one in got.events if one["actor"]["id"] == "u_7"]
    assert (line["actor"]["name"], "actor.name" in line["erased_fields"]) == ("", True)
    assert b"Grace" not in got.data


async def test_damage_is_told_in_the_file_and_by_the_status(world, user):
    await record_batch(world, user, [event() for _ in range(400)])
    await asyncio.to_thread(
        world.database.execute,
        "UPDATE audit.payloads SET leaf = set_byte(leaf, 30, get_byte(leaf, 30) # 1)"
        " WHERE organisation_id = %s AND log_index = 300",
        user.organisation_id,
    )
    call = stub(world).ExportEvents(exports_pb2.ExportEventsRequest(), metadata=user.metadata)
    data = bytearray()
    reason = ""
    try:
        async for body in call:
            data += body.data
    except grpc.aio.AioRpcError as error:
        reason = read_refusal(error).reason
    assert reason == "LOG_DAMAGED"
    *lines, last = data.splitlines()
    end = json.loads(last)["end"]
    assert (end["complete"], end["reason"]) == (False, "LOG_DAMAGED")
    assert int(end["events"]) == len(lines) <= 300


@pytest.mark.parametrize(
    "cursor", ["x", "e30=", "W10=", "WzFd", "bnVsbA==", "WyIiLC0xLC0xLC0xXQ==", "\u00fc", "====="]
)
async def test_what_is_no_cursor_is_refused(world, user, cursor):
    refusal = await refused(export(world, user, cursor=cursor))
    assert (refusal.reason, list(refusal.fields)) == ("EXPORT_CURSOR_INVALID", ["cursor"])


async def test_a_cursor_belongs_to_its_organisation_and_to_its_request(world, user):
    await record(world, user, event())
    mine = await export(world, user)
    other = await world.signed_up()
    await settled(world, other)
    for who, more in ((other, {}), (user, {"format": CSV}), (user, {"proofs": True})):
        for cursor in (mine.cursor, mine.end["cursor"]):
            refusal = await refused(export(world, who, cursor=cursor, **more))
            assert refusal.reason == "EXPORT_CURSOR_INVALID"
    theirs = await export(world, other)
    foreign = {"cursor": theirs.cursor, "after": mine.ids[-1]}
    assert (await refused(export(world, other, **foreign))).reason == "EVENT_NOT_FOUND"


async def test_what_cannot_be_is_refused_before_the_first_byte(world, user):
    after = await refused(export(world, user, after="0190163d-8694-739b-aea5-966c26f8ad91"))
    assert list(after.fields) == ["after"]
    proofs = await refused(export(world, user, format=CSV, proofs=True))
    assert list(proofs.fields) == ["proofs"]
    unknown = await refused(export(world, user, format=99))
    assert list(unknown.fields) == ["format"]


@pytest.mark.parametrize("name", ["OCSF", "CLOUDEVENTS"])
async def test_formats_in_json_lines_end_as_json_lines_do(world, user, name):
    await record_batch(world, user, [event() for _ in range(3)])
    got = await export(world, user, format=exports_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{name}"))
    assert (len(got.lines), got.end["events"], got.end["complete"]) == (6, "5", True)


async def test_cef_ends_with_an_event_of_its_own(world, user):
    got = await export(world, user, format=exports_pb2.EXPORT_FORMAT_CEF)
    *events, last = got.data.splitlines(keepends=True)
    *header, extension = last.decode().rstrip("\n").split("|")
    assert (len(header), header[0], header[4]) == (7, "CEF:0", "export.end")
    said = dict(pair.split("=", 1) for pair in extension.split(" "))
    assert said["cnt"] == str(len(events)) == "2"
    assert (said["cs1Label"], said["cs1"]) == (
        "sha256",
        hashlib.sha256(b"".join(events)).hexdigest(),
    )


async def test_parquet_is_whole_or_nothing(world, user):
    parquet = exports_pb2.EXPORT_FORMAT_PARQUET
    await record_batch(world, user, [event() for _ in range(300)])
    got = await export(world, user, format=parquet)
    table = pyarrow.parquet.read_table(io.BytesIO(got.data))
    assert table.column("log_index").to_pylist() == list(range(302))
    refusal = await refused(export(world, user, format=parquet, cursor=got.cursor))
    assert list(refusal.fields) == ["cursor"]


async def test_who_has_exported_what_is_an_event(world, user):
    await export(world, user, format=CSV)
    (told, *_) = await own_events(world, user, "audit.event.export")
    assert (told.actor.id, told.metadata["format"]) == (user.id, "csv")


async def test_an_export_ends_with_its_session(world, user):
    await record_batch(world, user, [event(metadata={"text": "x" * 200_000}) for _ in range(40)])
    session = await world.login(user.email)
    call = stub(world).ExportEvents(exports_pb2.ExportEventsRequest(), metadata=session.metadata)
    await call.read()
    await world.auth.Logout(auth_pb2.LogoutRequest(), metadata=session.metadata)
    await ended_within(lambda: checkpoint(world, session))
    data, reason = bytearray(), ""
    try:
        while body := await call.read():
            data += body.data
    except grpc.aio.AioRpcError as error:
        reason = read_refusal(error).reason
    assert reason == "SESSION_ENDED"
    end = json.loads(data.splitlines()[-1])["end"]
    assert (end["complete"], end["reason"]) == (False, "SESSION_ENDED")
    after = await export(world, user, cursor=end["cursor"])
    assert int(after.end["events"]) + int(end["events"]) == 42


async def test_a_filter_narrows_and_orders_by_time(world, user):
    first = datetime(2026, 1, 1, tzinfo=UTC)
    # Recorded with the latest first.
    hours = [stamp(first + timedelta(hours=hour)) for hour in range(150)]
    sent = [
        event(occurred_at=hour, action="door.open" if number % 2 else "door.shut")
        for number, hour in enumerate(hours)
    ]
    await record_batch(world, user, sent[::-1])
    wanted = [one.id for one in sent if one.action == "door.open"]
    whole = await export(world, user, filter='action = "door.open"')
    assert whole.ids == wanted
    assert whole.end["events"] == "75"
    late = event(occurred_at=stamp(first - timedelta(days=1)), action="door.open")
    await record(world, user, late)
    for kept in (0, 1, 64, 74, 75):
        more = {"after": wanted[kept - 1]} if kept else {}
        rest = await export(world, user, filter='action = "door.open"', cursor=whole.cursor, **more)
        assert (rest.ids, rest.end["complete"]) == (wanted[kept:], True)
    since = await export(world, user, filter='action = "door.open"', cursor=whole.end["cursor"])
    assert since.ids == [late.id]
    other = await refused(export(world, user, filter="action = x", cursor=whole.cursor))
    assert other.reason == "EXPORT_CURSOR_INVALID"
    malformed = await refused(export(world, user, filter="action = = x"))
    assert (malformed.reason, list(malformed.fields)) == ("FILTER_INVALID", ["filter"])
