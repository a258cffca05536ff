"""`smart-audit import` against real servers."""

import asyncio
import gzip
import json
import signal

import pytest
from google.protobuf.json_format import MessageToDict

from smart_audit.api.audit.v1 import event_types_pb2, event_types_pb2_grpc
from smart_audit.audit.formats import FormatName, open_format
from tests.cli.cable import cable_to
from tests.cli.conftest import written
from tests.formats.making import read_back
from tests.support.events import checkpoint, event, get, record, settled


async def log_size(world, user):
    return (await checkpoint(world, user)).tree_size


async def test_real_records_are_imported_once_however_often_they_are_sent(
    cli, world, user, real_records, tmp_path
):
    before = (await settled(world, user)).tree_size
    records = written(tmp_path / "all", real_records[:1000])
    first = await cli.run("import", "cloudtrail", records)
    assert first.out == "1000 read, 1000 recorded, 0 already there, 0 skipped\n"
    assert (first.code, first.err) == (0, "")
    assert await log_size(world, user) == before + 1000
    some = written(tmp_path / "some", real_records[300:700])
    again = await cli.run("import", "cloudtrail", some)
    assert again.out == "400 read, 0 recorded, 400 already there, 0 skipped\n"
    assert (again.code, again.err) == (0, "")
    assert await log_size(world, user) == before + 1000


async def test_an_imported_event_reads_back_whole(cli, world, user, real_records, few_records):
    await cli.run("import", "cloudtrail", few_records)
    record = real_records[7]
    event = (await get(world, user, record["eventID"])).event
    service = record["eventSource"].partition(".")[0]
    assert event.action == f"{service}.{record['eventName']}"
    assert event.source == "cloudtrail"
    assert event.source_address == record["sourceIPAddress"]
    assert event.user_agent == record["userAgent"]
    assert event.metadata["userIdentity"] == record["userIdentity"]


async def test_an_import_that_stopped_goes_on_where_it_was(cli, real_records, tmp_path):
    await cli.run("import", "cloudtrail", written(tmp_path / "part", real_records[:400]))
    rest = await cli.run("import", "cloudtrail", written(tmp_path / "all", real_records[:600]))
    assert rest.out == "600 read, 200 recorded, 400 already there, 0 skipped\n"


async def test_a_record_that_comes_twice_in_a_file_counts_as_already_there(
    cli, real_records, tmp_path
):
    one, two = real_records[:2]
    path = written(tmp_path / "twice", [one, one, two, one])
    result = await cli.run("import", "cloudtrail", path)
    assert result.out == "4 read, 2 recorded, 2 already there, 0 skipped\n"


async def test_bad_lines_are_named_skipped_and_told_by_the_exit_code(cli, real_records, tmp_path):
    good = json.dumps(real_records[0])
    taken = json.dumps({**real_records[0], "eventName": "Other"})
    infinite = json.dumps({**real_records[1], "odd": "number"}).replace('"number"', "1e999")
    bad_time = json.dumps({**real_records[2], "eventTime": "soon"})
    path = tmp_path / "mixed"
    path.write_text("\n".join([good, "{oops", "[1]", bad_time, "", taken, infinite, good]))
    result = await cli.run("import", "cloudtrail", path)
    assert result.code == 5
    assert result.out == "7 read, 1 recorded, 1 already there, 5 skipped\n"
    places = [line.split(":")[0] for line in result.err.splitlines()]
    assert places == ["line 2", "line 3", "line 4", "line 6", "line 7"]
    assert "not JSON" in result.err
    assert "'soon' is not a time" in result.err
    assert "(EVENT_ID_CONFLICT)" in result.err
    assert "metadata" in result.err.splitlines()[-1]


async def test_a_record_no_call_could_carry_does_not_hold_up_its_neighbours(
    cli, real_records, tmp_path
):
    huge = {**real_records[0], "additionalEventData": ["x" * 1000] * 4000}
    large = [{**one, "additionalEventData": "x" * 200_000} for one in real_records[1:41]]
    path = written(tmp_path / "large", [huge, *large])
    result = await cli.run("import", "cloudtrail", path)
    assert result.err == "line 1: larger than 3 MiB\n"
    assert result.out == "41 read, 40 recorded, 0 already there, 1 skipped\n"


async def test_records_come_through_a_pipe(cli, real_records):
    data = "".join(f"{json.dumps(record)}\n" for record in real_records[:3]).encode()
    result = await cli.run("import", "cloudtrail", "-", stdin=data)
    assert result.out == "3 read, 3 recorded, 0 already there, 0 skipped\n"


async def test_a_compressed_cloudtrail_file_comes_through_a_pipe(cli, real_records):
    lines = "".join(f"{json.dumps(record)}\n" for record in real_records[:50])
    result = await cli.run("import", "cloudtrail", "-", stdin=gzip.compress(lines.encode()))
    assert result.out.startswith("50 read, 50 recorded")


async def test_ctrl_c_ends_an_import_that_waits_for_its_pipe(cli, gateway):
    async with cable_to(gateway.address) as cable:
        await cable.plug()
        process = await cli.start("import", "cloudtrail", "-", SMART_AUDIT_ADDRESS=cable.address)
        # The checkpoint has been asked for; now there is nothing but the pipe to wait for.
        await cable.until_sent(500)
        await asyncio.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, out, err) == (130, b"", b"")


async def test_a_broken_connection_loses_and_doubles_nothing(
    cli, gateway, world, user, real_records, tmp_path
):
    records = written(tmp_path / "records", real_records[:1500])
    before = (await settled(world, user)).tree_size
    async with cable_to(gateway.address) as cable:
        await cable.plug()
        running = asyncio.create_task(
            cli.run("import", "cloudtrail", records, SMART_AUDIT_ADDRESS=cable.address)
        )
        for threshold in (200_000, 800_000):
            await cable.until_sent(threshold)
            await cable.pull()
            await asyncio.sleep(0.5)
            await cable.plug()
        result = await running
    assert result.code == 0
    assert "trying again for up to 60 seconds" in result.err
    assert result.out == "1500 read, 1500 recorded, 0 already there, 0 skipped\n"
    assert await log_size(world, user) == before + 1500


async def test_a_service_that_stays_away_ends_the_import_with_a_sentence(cli, few_records):
    async with cable_to("127.0.0.1:1") as nowhere:
        result = await cli.run(
            "import",
            "cloudtrail",
            few_records,
            "--retry-for",
            1,
            SMART_AUDIT_ADDRESS=nowhere.address,
        )
    assert result.code == 1
    assert "UNAVAILABLE" in result.err
    assert result.out == ""
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (None, "not logged in"),
        ("", "not logged in"),
        ("two words", "malformed"),
        ("e30.e30.e30", "log in again"),
    ],
)
async def test_without_a_good_token_the_exit_code_is_4(cli, few_records, token, sentence):
    result = await cli.run("import", "cloudtrail", few_records, SMART_AUDIT_TOKEN=token)
    assert result.code == 4
    assert sentence in result.err
    assert len(result.err.splitlines()) == 1


async def test_the_token_may_be_in_a_file(cli, user, few_records, tmp_path):
    token = tmp_path / "token"
    token.write_text(f"{user.access_token}\n")
    result = await cli.run(
        "import", "cloudtrail", few_records, "--token-file", token, SMART_AUDIT_TOKEN=None
    )
    assert result.code == 0
    missing = await cli.run("import", "cloudtrail", few_records, "--token-file", "/nowhere")
    assert (missing.code, missing.err) == (1, "smart-audit: /nowhere: No such file or directory\n")


async def test_a_file_that_is_not_there_is_named(cli, tmp_path):
    result = await cli.run("import", "cloudtrail", tmp_path / "missing")
    assert result.code == 1
    assert f"{tmp_path / 'missing'}: No such file" in result.err


@pytest.mark.parametrize("address", ["localhost", ":8000", "ftp://localhost:8000", "a:b"])
async def test_a_malformed_address_is_a_usage_error(cli, few_records, address):
    result = await cli.run("import", "cloudtrail", few_records, "--address", address)
    assert result.code == 2
    assert address in result.err


async def test_plain_records_are_recorded_by_a_mapping_once(cli, world, user, tmp_path):
    lines = [
        {"what": "invoice.pay", "who": {"id": "u_7"}, "at": 1772368215, "ok": True, "total": 5},
        {"what": "invoice.pay", "who": {}, "at": 1772368216, "ok": False},
    ]
    path = written(tmp_path / "lines", lines)
    toml = tmp_path / "mapping.toml"
    toml.write_text('[map]\naction = "what"\nactor.id = "who.id"\noutcome = "ok"\n')
    command = ["import", "jsonl", path, "--mapping", toml, "--map", "occurred_at=at"]
    dry = await cli.run(*command, "--dry-run", SMART_AUDIT_TOKEN=None)
    assert (dry.code, len(dry.out.splitlines())) == (5, 1)
    assert dry.err.splitlines() == [
        "line 2: no actor.id: the record has no text at who.id",
        "2 read, 1 would be sent, 1 skipped",
    ]
    first = await cli.run(*command, "--set", "actor.id=nobody", "--set", "source=billing")
    assert (first.code, first.out) == (
        0,
        "2 read, 2 recorded, 0 already there, 0 skipped\n",
    )
    again = await cli.run(*command, "--set", "actor.id=nobody", "--set", "source=billing")
    assert again.out == "2 read, 0 recorded, 2 already there, 0 skipped\n"
    event = (await get(world, user, json.loads(dry.out)["id"])).event
    assert (event.actor.id, event.source, event.metadata["total"]) == ("u_7", "billing", 5)


async def test_an_export_is_imported_into_another_log(cli, world, user, tmp_path):
    """The same events by all three ways: what one of them has brought, the others find there."""
    message = event(id="7c9e6679-7425-40de-944b-e07fc1f90ae7", source="editor")
    await record(world, user, message)
    other = await world.new_user()
    answer = await get(world, user, message.id)
    exported = read_back(answer)
    results = []
    for kind in ("jsonl", "ocsf", "cloudevents"):
        path = tmp_path / kind
        path.write_bytes(open_format(FormatName(kind)).lines([exported]))
        results.append(await cli.run("import", kind, path, SMART_AUDIT_TOKEN=other.access_token))
    assert [result.out[:50] for result in results] == [
        "1 read, 1 recorded, 0 already there, 0 skipped\n",
        "1 read, 0 recorded, 1 already there, 0 skipped\n",
        "1 read, 0 recorded, 1 already there, 0 skipped\n",
    ]
    again = (await get(world, other, message.id)).event
    for name in ("action", "actor", "targets", "outcome", "occurred_at", "source_address"):
        assert getattr(again, name) == getattr(answer.event, name)
    kept = MessageToDict(again.metadata)
    assert kept["region"] == "eu"
    assert kept["imported_from"]["organisation_id"] == user.organisation_id


async def test_what_operations_mean_is_registered_once(cli, world, user, few_records):
    first = await cli.run("import", "cloudtrail", "--describe", few_records)
    again = await cli.run("import", "cloudtrail", "--describe", few_records)

    assert (first.code, again.code) == (0, 0)
    assert "kinds of event are described" in first.err
    assert again.err == first.err
    stub = event_types_pb2_grpc.EventTypeServiceStub(world.audit_channel)
    page = await stub.ListEventTypes(
        event_types_pb2.ListEventTypesRequest(), metadata=user.metadata
    )
    assert {one.version for one in page.event_types} == {1}
    assert all(one.display_name and one.description for one in page.event_types)
