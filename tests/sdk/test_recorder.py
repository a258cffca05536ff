"""The recorder never stands in a program's way, and loses nothing but what it says."""

import asyncio
import json

import pytest

from smart_audit.client import Client, Drop, Recorder
from smart_audit.client.recorder.counters import Tally
from smart_audit.client.recorder.queue import Queue
from tests.sdk.recording import arrived, files, flush, record, until


async def test_events_arrive_in_their_order(gateway, client, recorder_to, source):
    recorder = recorder_to(gateway.address)
    record(recorder, source, range(600))
    await flush(recorder)
    assert await arrived(client, source) == list(range(600))
    counters = recorder.counters
    assert (counters.accepted, counters.sent, counters.spooled) == (600, 600, 600)
    assert (counters.waiting, counters.dropped, counters.refused) == (0, {}, {})


async def test_an_outage_under_load_loses_nothing_and_keeps_the_order(
    cable, client, recorder_to, source, tmp_path
):
    recorder = recorder_to(cable.address)
    record(recorder, source, range(300))
    # Events are spooled before a first try at sending them has failed.
    await until(lambda: recorder.counters.spooled == 300 and recorder.counters.trouble)
    await cable.plug()
    for round_ in range(1, 4):
        record(recorder, source, range(300 * round_, 300 * (round_ + 1)))
        await asyncio.sleep(0.1)
        await cable.pull()
        await asyncio.sleep(0.1)
        await cable.plug()
    await flush(recorder)
    assert await arrived(client, source) == list(range(1200))
    assert recorder.counters.trouble == ""
    recorder.close()
    assert files(tmp_path / "spool") == []


@pytest.mark.parametrize(
    ("drop", "kept"), [("newest", [*range(20)]), ("oldest", [0, *range(31, 50)])]
)
async def test_a_full_queue_drops_as_it_was_told(cable, client, recorder_to, source, drop, kept):
    recorder = recorder_to(cable.address, spool=None, queue_events=20, drop=drop)
    record(recorder, source, [0])
    # It is being sent: who is on the way is not dropped.
    await until(lambda: recorder.counters.trouble)
    record(recorder, source, range(1, 50))
    counters = recorder.counters
    assert counters.dropped == {"queue_full": 30}
    assert counters.accepted == (20 if drop == "newest" else 50)
    await cable.plug()
    await flush(recorder)
    assert await arrived(client, source) == kept


async def test_what_is_refused_is_set_aside_and_the_rest_goes_on(
    gateway, client, recorder_to, source, tmp_path
):
    recorder = recorder_to(gateway.address)
    record(recorder, source, [0, 1])
    recorder.record("not an action", "u_1", source=source)
    record(recorder, source, [2])
    await flush(recorder)
    assert await arrived(client, source) == [0, 1, 2]
    counters = recorder.counters
    ((reason, count),) = counters.refused.items()
    assert (counters.sent, count) == (3, 1)
    (line,) = (tmp_path / "spool" / "refused.jsonl").read_text().splitlines()
    refused = json.loads(line)
    assert (refused["reason"], refused["event"]["action"]) == (reason, "not an action")
    assert "action" in "".join(refused["fields"])
    assert (tmp_path / "spool" / "refused.jsonl").stat().st_mode & 0o777 == 0o600


async def test_nothing_that_a_program_gives_makes_it_raise(gateway, recorder_to, caplog):
    recorder = recorder_to(gateway.address)
    recorder.record("a", None)
    recorder.record("a", "u_1", metadata={"x": object()})
    recorder.record("a", "u_1", outcome="maybe")
    recorder.record("a", "u_1", nonsense=1)
    recorder.record("a", "u_1", metadata={"x": "y" * 4_000_000})
    recorder.send("no event")
    recorder.close()
    recorder.record("a", "u_1")
    assert recorder.counters.dropped == {"malformed": 5, "too_large": 1, "closed": 1}
    assert recorder.counters.accepted == 0


def test_a_queue_is_not_emptied_for_an_event_that_does_not_fit():
    tally = Tally()
    queue = Queue(10, 100, Drop.OLDEST, tally, lambda: None)
    for _ in range(5):
        queue.put(b"x" * 10)
    queue.put(b"x" * 101)
    assert len(queue) == 5
    assert tally.read(0, 0).dropped == {"queue_full": 1}


def test_what_comes_as_the_recorder_ends_is_counted():
    recorder = Recorder(Client("localhost:1", api_key="sa_a_b"), spool=None, exit_s=0)

    class Late(bytes):
        def __len__(self):
            recorder.close()
            return super().__len__()

    class Event:
        def SerializeToString(self):
            return Late(b"event")

    recorder.send(Event())
    counters = recorder.counters
    assert (counters.accepted, counters.waiting, counters.dropped) == (0, 0, {"closed": 1})
