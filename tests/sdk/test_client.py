"""The client records, reads and verifies; sync and async are one."""

import asyncio
import inspect
import os
import subprocess
import sys
from contextlib import aclosing
from uuid import UUID

import pytest

from smart_audit.api.audit.v1 import audit_pb2, tail_pb2
from smart_audit.api.auth.v1 import admin_pb2
from smart_audit.client import (
    AsyncClient,
    Client,
    InvalidArgument,
    NotFound,
    Outcome,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    VerificationError,
    new_event,
)
from smart_audit.client.aio_events import AsyncEvents
from smart_audit.client.aio_log import AsyncLog
from smart_audit.client.sync import Events, Log

SOMEBODY = "00000000-0000-7000-8000-00000000000a"


async def all_of(items):
    return [item async for item in items]


async def test_an_event_comes_back_as_it_was_recorded(client):
    receipt = await client.events.record(
        "document.delete",
        {"id": "u_1", "type": "user", "name": "Ada"},
        targets=[{"id": "d_1", "type": "document", "name": "Plans"}],
        outcome=Outcome.DENIED,
        outcome_reason="NotOwner",
        metadata={"size": 3, "tags": ["a", None, True], "deep": {"x": 1.5}},
        source="editor",
    )
    assert UUID(receipt.event_id).version == 7
    event = await client.events.get(receipt.event_id)
    assert (event.actor.name, event.targets[0].name) == ("Ada", "Plans")
    assert event.outcome == audit_pb2.OUTCOME_DENIED
    assert event.metadata["tags"][1] is None
    assert event.metadata["deep"]["x"] == 1.5
    assert abs(event.recorded_at.ToSeconds() - event.occurred_at.ToSeconds()) < 60


async def test_an_event_that_is_sent_twice_is_there_once(client):
    event = new_event("document.share", "u_twice")
    first, second = await client.events.send(event), await client.events.send(event)
    assert first == second
    listed = await all_of(client.events.list('actor.id="u_twice"'))
    assert [one.id for one in listed] == [event.id]


async def test_lists_turn_their_pages_themselves(client):
    events = [new_event("page.turn", "u_pages", metadata={"n": n}) for n in range(7)]
    results = await client.events.send_all(events)
    assert all(result.HasField("receipt") for result in results)
    for options in ({"oldest_first": True}, {}):
        listed = await all_of(client.events.list('action="page.turn"', page_size=2, **options))
        found = [one.id for one in listed]
        expected = [event.id for event in events]
        assert found == (expected if options else expected[::-1])


async def test_words_find_events(client):
    await client.events.record("invoice.approve", "u_words")
    async with asyncio.timeout(30):
        while not (hits := await all_of(client.events.search("approved invoices"))):
            await asyncio.sleep(0.05)
    assert hits[0].event.action == "invoice.approve"


async def test_a_tail_gives_what_is_recorded_from_now_on(client):
    records = client.events.tail_records(tail_pb2.TailEventsRequest(filter="actor.id=u_tail"))
    async with aclosing(records):
        assert (await anext(records)).HasField("heartbeat")
        receipt = await client.events.record("tail.follow", "u_tail")
        async with asyncio.timeout(30):
            while not (record := await anext(records)).HasField("events"):
                pass
    assert record.events.events[0].id == receipt.event_id
    async with aclosing(client.events.tail('action="tail.follow"', from_start=True)) as events:
        assert (await anext(events)).id == receipt.event_id


@pytest.mark.parametrize("format_", ["jsonl", "csv", "ocsf", "cloudevents", "cef"])
async def test_an_export_is_a_whole_file(client, tmp_path, format_):
    await client.events.record("export.write", "u_export")
    path = tmp_path / "events"
    size = await client.events.export(path, format_, filter='action="export.write"')
    assert path.stat().st_size == size
    assert path.stat().st_mode & 0o777 == 0o600
    assert "export.write" in path.read_text()
    assert list(tmp_path.iterdir()) == [path]


async def test_an_event_and_its_receipt_are_verified_here(client):
    receipt = await client.events.record("proof.make", "u_proof")
    await client.events.record("proof.make", "u_proof")
    verified = await client.verify(receipt.event_id)
    assert verified.event.action == "proof.make"
    assert verified.checkpoint.size > receipt.proof.log_index
    key = verified.checkpoint.verifier_keys[0]
    assert (await client.verify(receipt.event_id, [key])).trust == "given"
    other = "+".join(["other", *key.split("+")[1:]])
    with pytest.raises(VerificationError):
        await client.verify(receipt.event_id, [other])
    assert (await client.log.check_receipt(receipt)).origin == verified.checkpoint.origin
    receipt.proof.root_hash = bytes(32)
    with pytest.raises(VerificationError):
        await client.log.check_receipt(receipt)


async def test_a_whole_log_is_verified_and_remembered(client):
    first = await client.log.verify()
    await client.events.record("log.grow", "u_log")
    second = await client.log.verify()
    assert second.extends == [first.checkpoint.size]
    assert second.findings.events
    assert (await client.log.checkpoint()).size >= second.checkpoint.size
    assert await anext(client.log.checkpoints())


async def test_receipts_are_checked_if_asked(gateway, machine):
    _, key = machine
    async with AsyncClient(gateway.address, api_key=key.secret, check_receipts=True) as client:
        await client.events.record("receipt.check", "u_1")
        (result,) = await client.events.send_all([new_event("receipt.check", "u_1")])
    assert result.HasField("receipt")


async def test_errors_have_classes_and_request_ids(client, gateway):
    with pytest.raises(NotFound) as missing:
        await client.events.get(SOMEBODY)
    assert missing.value.request_id
    assert missing.value.request_id in str(missing.value)
    with pytest.raises(InvalidArgument) as wrong:
        await client.events.record("", "u_1")
    assert "event.action" in wrong.value.fields
    with pytest.raises(PermissionDenied):
        await client.call(client.services.users.ListUsers, admin_pb2.ListUsersRequest())
    async with AsyncClient(gateway.address, access_token="e30.e30.e30") as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.log.checkpoint()
    async with AsyncClient("127.0.0.1:1", retry_for_s=0) as nobody:
        with pytest.raises(Unavailable):
            await nobody.log.checkpoint()


async def test_a_deadline_is_for_one_call(client):
    with pytest.raises(Unavailable):
        await client.with_options(timeout_s=0.000001, retry_for_s=0).log.checkpoint()
    assert await client.log.checkpoint()


async def test_a_raw_answer_has_its_metadata(client):
    answer = await client.raw(client.services.log.GetCheckpoint, audit_pb2.GetCheckpointRequest())
    assert answer.message.tree_size
    assert answer.request_id == answer.metadata["x-request-id"]
    assert answer.request_id


def use_everything(client):
    """Calls, pages and errors, waited for."""
    receipt = client.events.record("sync.record", "u_sync")
    client.events.send_all([new_event("sync.record", "u_sync") for _ in range(3)])
    listed = list(client.events.list('action="sync.record"', page_size=2))
    assert listed[-1].id == receipt.event_id
    assert client.verify(receipt.event_id).event.id == receipt.event_id
    assert next(client.events.tail(from_start=True)).id
    request = audit_pb2.GetCheckpointRequest()
    assert client.raw(client.services.log.GetCheckpoint, request).request_id
    with pytest.raises(NotFound):
        client.with_options(timeout_s=5).events.get(SOMEBODY)
    return len(listed)


async def test_a_client_that_waits_does_all_of_it(waiting):
    assert await asyncio.to_thread(use_everything, waiting) == 4


async def test_many_threads_share_a_client(waiting):
    def some(number):
        return [waiting.events.record("thread.record", f"u_{number}") for _ in range(5)]

    receipts = await asyncio.gather(*(asyncio.to_thread(some, n) for n in range(4)))
    assert len({one.event_id for some_ in receipts for one in some_}) == 20


async def test_a_closed_client_says_so(gateway):
    client = Client(gateway.address)
    await asyncio.to_thread(client.close)
    with pytest.raises(RuntimeError, match="closed"):
        await asyncio.to_thread(client.log.checkpoint)


@pytest.mark.parametrize(("waiting_class", "inner"), [(Events, AsyncEvents), (Log, AsyncLog)])
def test_both_clients_have_the_same_methods(waiting_class, inner):
    def public(cls):
        return {name for name in vars(cls) if not name.startswith("_")}

    assert public(waiting_class) == public(inner)
    for name in public(inner):
        assert inspect.getdoc(vars(waiting_class)[name]) == inspect.getdoc(vars(inner)[name])


FORKS = """
import os, sys, threading
from smart_audit.client import Client
address, key = sys.argv[1:]
client = Client(address, api_key=key)
client.events.record("fork.before", "u_fork")
stop = threading.Event()
def busy():
    while not stop.is_set():
        client.events.record("fork.meanwhile", "u_fork")
thread = threading.Thread(target=busy)
thread.start()
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        client.events.record("fork.child", "u_fork")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    client.events.record("fork.parent", "u_fork")
stop.set()
thread.join()
print("done")
"""


async def test_a_client_outlives_forks_in_parent_and_child(gateway, machine, client):
    _, key = machine
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", FORKS, gateway.address, key.secret,
        stdout=asyncio.subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith(("COV", "GRPC_ENABLE"))},
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"done\n")
    assert len(await all_of(client.events.list('action="fork.child"'))) == 3
    assert len(await all_of(client.events.list('action="fork.parent"'))) == 3


def test_the_package_alone_imports_no_grpc():
    script = "import sys, smart_audit.client as c; c.__all__; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
