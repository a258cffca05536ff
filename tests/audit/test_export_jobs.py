"""Exports as jobs: written beside the calls, fetched later, destroyed in time."""

import asyncio
import hashlib
from datetime import timedelta

import grpc
import grpc.aio
import pytest

from smart_audit.api.audit.v1 import audit_pb2, exports_pb2
from tests.support.events import event, record, record_batch, settled
from tests.support.exports import (
    cancel,
    delete,
    download,
    export,
    file_of,
    id_of,
    operation_of,
    order,
    progress_of,
    stub,
    unfinished,
    until_done,
)
from tests.support.governance import erase, own_events
from tests.support.world import read_refusal, running_world


@pytest.fixture
async def user(world):
    user = await world.signed_up()
    await settled(world, user)
    await record_batch(world, user, [event() for _ in range(40)])
    return user


async def reason_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return read_refusal(raised.value).reason


async def ordered(world, user, **fields):
    """An export that is done: its id, and its file's description."""
    operation_id = id_of(await order(world, user, **fields))
    return operation_id, file_of(await until_done(world, user, operation_id))


def rows(world, operation_id):
    """(state, has a key, has a filter, chunks) of an export."""
    return world.database.execute(
        "SELECT state, wrapped_key IS NOT NULL, sealed_filter IS NOT NULL, (SELECT count(*)"
        " FROM audit.export_chunks AS chunk WHERE chunk.export_id = export.export_id)"
        " FROM audit.exports AS export WHERE export_id = %s",
        operation_id,
    )


async def until_rows(world, operation_id, expected):
    async with asyncio.timeout(10):
        while rows(world, operation_id) != expected:
            await asyncio.sleep(0.02)


async def test_a_job_writes_what_a_stream_sends(world, user):
    streamed = await export(world, user, proofs=True)
    operation = await order(world, user, proofs=True)
    assert not operation.done
    progress = progress_of(operation)
    assert progress.state == exports_pb2.EXPORT_STATE_PENDING
    size = progress.log_size
    assert (size >= 42, progress.events_estimated) == (True, size)
    assert progress.created_by == user.id
    done = await until_done(world, user, id_of(operation))
    file, progress = file_of(done), progress_of(done)
    assert progress.state == exports_pb2.EXPORT_STATE_SUCCEEDED
    assert (progress.events_done, progress.bytes_done) == (size, file.size)
    got = await download(world, user, id_of(operation))
    assert [one["id"] for one in got.events[:42]] == streamed.ids
    assert len(got.events) == size
    assert all(one["proof"]["inclusion_proof"]["tree_size"] == str(size) for one in got.events)
    assert len(got.data) == file.size
    assert hashlib.sha256(got.data).hexdigest() == file.sha256
    assert got.content_type == file.content_type == "application/x-ndjson"
    assert file.download == f"/v1/exports/{id_of(operation)}/file"
    assert file.file_name in got.headers["content-disposition"]
    assert file.expires_at == progress.expires_at
    kept = file.expires_at.ToDatetime() - progress.finished_at.ToDatetime()
    assert kept == timedelta(days=1)


async def test_a_job_with_a_filter(world, user):
    await record_batch(world, user, [event(action="door.open") for _ in range(70)])
    narrow = {"filter": "action = door.open", "format": exports_pb2.EXPORT_FORMAT_CSV}
    operation_id, file = await ordered(world, user, **narrow)
    progress = progress_of(await operation_of(world, user, operation_id))
    assert (progress.filter, progress.events_estimated) == (narrow["filter"], 0)
    assert (progress.events_done, file.events) == (70, 70)
    streamed = await export(world, user, **narrow)
    rows_ = (await download(world, user, operation_id)).data.split(b"\r\n")
    assert rows_[:-2] == streamed.data.split(b"\r\n")[:-2]
    assert await reason_of(order(world, user, filter="action = = x")) == "FILTER_INVALID"


async def test_a_download_goes_on_at_any_byte(world, user):
    await record_batch(world, user, [event(metadata={"text": "x" * 90_000}) for _ in range(15)])
    operation_id, file = await ordered(world, user)
    whole = await download(world, user, operation_id)
    assert len(whole.messages) > 2
    assert max(map(len, whole.messages)) < 2**20
    for offset in (1, 524_287, 524_288, 524_289, file.size - 1, file.size):
        rest = await download(world, user, operation_id, offset)
        assert rest.data == whole.data[offset:]
    assert await reason_of(download(world, user, operation_id, file.size + 1)) == "INVALID_ARGUMENT"


async def test_a_file_at_rest_shows_nothing(world, user):
    await record(world, user, event(actor=audit_pb2.Actor(id="u_5", name="Zora Secretname")))
    operation_id, _ = await ordered(world, user)
    ((stored, first),) = world.database.execute(
        "SELECT sealed, substring(sealed FOR 40) FROM audit.export_chunks WHERE export_id = %s",
        operation_id,
    )
    assert b"Secretname" not in stored
    assert b"document.delete" not in first
    assert b"Secretname" in (await download(world, user, operation_id)).data


async def test_a_chunk_that_was_changed_or_moved_does_not_open(world, user):
    operation_id, _ = await ordered(world, user)
    other_id, _ = await ordered(world, user)
    world.database.execute(
        "UPDATE audit.export_chunks SET sealed = (SELECT sealed FROM audit.export_chunks"
        " WHERE export_id = %s) WHERE export_id = %s",
        other_id,
        operation_id,
    )
    assert await reason_of(download(world, user, operation_id)) == "INTERNAL"


async def test_an_export_that_is_not_done_can_be_cancelled(world, user):
    operation_id, _ = await ordered(world, user)
    unfinished(world, operation_id)
    assert await reason_of(download(world, user, operation_id)) == "EXPORT_NOT_READY"
    await cancel(world, user, operation_id)
    operation = await operation_of(world, user, operation_id)
    assert operation.done
    assert operation.error.code == grpc.StatusCode.CANCELLED.value[0]
    assert progress_of(operation).state == exports_pb2.EXPORT_STATE_CANCELLED
    await until_rows(world, operation_id, [(5, False, False, 0)])
    assert await reason_of(download(world, user, operation_id)) == "EXPORT_NOT_READY"
    assert len(await own_events(world, user, "audit.export.cancel")) == 1


async def test_cancelling_what_is_done_changes_nothing(world, user):
    operation_id, file = await ordered(world, user)
    await cancel(world, user, operation_id)
    assert file_of(await operation_of(world, user, operation_id)) == file
    assert await own_events(world, user, "audit.export.cancel") == []


async def test_a_deleted_export_is_gone_with_its_file(world, user):
    operation_id, _ = await ordered(world, user)
    await delete(world, user, operation_id)
    for call in (operation_of, download, cancel, delete):
        assert await reason_of(call(world, user, operation_id)) == "EXPORT_NOT_FOUND"
    await until_rows(world, operation_id, [])


async def test_a_file_expires(world, user):
    operation_id, file = await ordered(world, user)
    world.database.execute(
        "UPDATE audit.exports SET expires_at = now() WHERE export_id = %s", operation_id
    )
    assert await reason_of(download(world, user, operation_id)) == "EXPORT_EXPIRED"
    await ordered(world, user)  # the runner wakes, and sweeps
    await until_rows(world, operation_id, [(6, False, False, 0)])
    operation = await operation_of(world, user, operation_id)
    assert progress_of(operation).state == exports_pb2.EXPORT_STATE_EXPIRED
    assert file_of(operation).sha256 == file.sha256
    assert await reason_of(download(world, user, operation_id)) == "EXPORT_EXPIRED"
    world.database.execute(
        "UPDATE audit.exports SET finished_at = now() - interval '31 days' WHERE export_id = %s",
        operation_id,
    )
    await ordered(world, user)
    await until_rows(world, operation_id, [])


async def test_an_erasure_destroys_files_and_lets_what_is_written_begin_anew(world, user):
    actor = audit_pb2.Actor(id="u_6", name="Grace Hopper")
    await record(world, user, event(actor=actor))
    finished, _ = await ordered(world, user)
    begun, _ = await ordered(world, user)
    assert b"Grace" in (await download(world, user, begun)).data
    unfinished(world, begun)
    await erase(world, user, "u_6")
    assert rows(world, finished)[0][:3] == (6, False, False)
    assert await reason_of(download(world, user, finished)) == "EXPORT_EXPIRED"
    await ordered(world, user)
    await until_done(world, user, begun)
    got = await download(world, user, begun)
    assert b"Grace" not in got.data
    assert got.end["complete"]


async def test_operations_are_listed_the_latest_first(world, user):
    ids = [(await ordered(world, user))[0] for _ in range(3)]

    async def page(size, token="", caller=user):
        request = exports_pb2.ListOperationsRequest(page_size=size, page_token=token)
        answer = await stub(world).ListOperations(request, metadata=caller.metadata)
        return [id_of(one) for one in answer.operations], answer.next_page_token

    first, token = await page(2)
    second, end = await page(2, token)
    assert ([*first, *second], end) == (ids[::-1], "")
    assert await reason_of(page(2, "nonsense")) == "PAGE_TOKEN_INVALID"
    stranger = await world.signed_up()
    assert await reason_of(page(2, token, stranger)) == "PAGE_TOKEN_INVALID"


async def test_what_is_anothers_is_not_there(world, user):
    operation_id, _ = await ordered(world, user)
    other = await world.signed_up()
    for call in (operation_of, download, cancel, delete):
        assert await reason_of(call(world, other, operation_id)) == "EXPORT_NOT_FOUND"
    assert rows(world, operation_id)[0][0] == 3


@pytest.mark.soak
async def test_an_organisation_has_only_so_many_and_so_much(cluster):
    limits = {"export_jobs": 1, "export_bytes": 20_000, "export_streams": 1}
    async with running_world(cluster.new_database(), audit=limits) as world:
        user = await world.signed_up()
        await settled(world, user)
        operation_id, _ = await ordered(world, user)
        unfinished(world, operation_id)
        assert await reason_of(order(world, user)) == "EXPORT_LIMIT_REACHED"
        other = await world.signed_up()
        await settled(world, other)
        await ordered(world, other)
        await cancel(world, user, operation_id)
        await record_batch(world, user, [event() for _ in range(60)])
        operation = await until_done(world, user, id_of(await order(world, user)))
        assert operation.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert progress_of(operation).state == exports_pb2.EXPORT_STATE_FAILED
        large = event(metadata={"text": "x" * 200_000})
        await record_batch(world, user, [large, *[event(metadata=large.metadata)] * 7])
        first = stub(world).ExportEvents(exports_pb2.ExportEventsRequest(), metadata=user.metadata)
        await first.read()
        assert await reason_of(export(world, user)) == "EXPORT_LIMIT_REACHED"
        assert (await export(world, other)).end["complete"]
        first.cancel()

        async def freed():
            try:
                return (await export(world, user)).end["complete"]
            except grpc.aio.AioRpcError:
                return False

        async with asyncio.timeout(10):
            while not await freed():
                await asyncio.sleep(0.05)
