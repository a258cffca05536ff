"""Torn files, full folders and broken disks cost a recorder what it says, and no more."""

import asyncio
import json
import os
import shutil
import subprocess
import sys

import pytest

from smart_audit.client.recorder import spool as spool_module
from smart_audit.client.recorder.counters import Tally
from smart_audit.client.recorder.spool import Spool
from smart_audit.client.recorder.worker import TRY_DISK_S
from tests.sdk.recording import LIMIT_S, arrived, flush, program, record, spooled, until


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda data: data[:-1], range(9)),
        (lambda data: data[:-40], range(9)),
        (lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:], range(9)),
        (lambda data: data + b"\xff" * 6, range(10)),
    ],
    ids=["a byte", "most of a frame", "a bit", "rubbish"],
)
async def test_a_torn_end_costs_what_was_torn(
    gateway, client, recorder_to, source, tmp_path, damage, left
):
    segment = spooled(tmp_path / "spool" / "process-1-dead", source, range(10))
    segment.write_bytes(damage(segment.read_bytes()))
    recorder = recorder_to(gateway.address)
    record(recorder, source, [10])
    await flush(recorder)
    assert await arrived(client, source) == [*left, 10]
    assert recorder.counters.dropped == {"unreadable": 1}


async def test_a_full_folder_drops_the_oldest_if_told(cable, client, recorder_to, source):
    recorder = recorder_to(cable.address, spool_bytes=8000, drop="oldest")
    for n in range(200):
        record(recorder, source, [n])
        if n % 10 == 9:
            await until(lambda: recorder.counters.spooled >= n + 1)  # noqa: B023
    dropped = recorder.counters.dropped["spool_full"]
    assert 100 < dropped < 200
    await cable.plug()
    await flush(recorder)
    numbers = await arrived(client, source)
    assert len(numbers) == 200 - dropped == recorder.counters.sent
    assert numbers == sorted(numbers)
    assert numbers[-1] == 199


async def test_a_full_folder_stops_there_otherwise(cable, client, recorder_to, source):
    recorder = recorder_to(cable.address, spool_bytes=8000, queue_events=50)
    for n in range(200):
        record(recorder, source, [n])
        await asyncio.sleep(0.001)
    await until(lambda: recorder.counters.disk_trouble)
    dropped = recorder.counters.dropped["queue_full"]
    await cable.plug()
    await flush(recorder)
    assert await arrived(client, source) == list(range(200 - dropped))
    await asyncio.sleep(TRY_DISK_S)
    record(recorder, source, [200])
    await until(lambda: not recorder.counters.disk_trouble)


async def test_a_folder_that_cannot_be_made_leaves_the_memory(
    gateway, client, recorder_to, source, tmp_path
):
    (tmp_path / "file").write_text("")
    recorder = recorder_to(gateway.address, spool=tmp_path / "file" / "spool")
    record(recorder, source, range(20))
    await flush(recorder)
    assert await arrived(client, source) == list(range(20))
    assert recorder.counters.disk_trouble


async def test_a_disk_that_is_back_is_used_though_the_service_is_away(
    cable, recorder_to, source, tmp_path
):
    (tmp_path / "file").write_text("")
    recorder = recorder_to(cable.address, spool=tmp_path / "file" / "spool")
    record(recorder, source, range(5))
    await until(lambda: recorder.counters.trouble and recorder.counters.disk_trouble)
    (tmp_path / "file").unlink()
    await until(lambda: recorder.counters.spooled == 5)
    assert (recorder.counters.waiting, recorder.counters.disk_trouble) == (5, "")


BROKEN_DISK = """
import resource, signal, sys, time
from smart_audit.client import Client, Recorder
recorder = Recorder(
    Client("localhost:1", api_key="sa_a_b"),
    spool=sys.argv[1], spool_bytes=8000, drop="oldest", linger_s=0.01, exit_s=0,
)
for n in range(20):
    recorder.record("a.b", "u_1", metadata={"pad": "x" * 100})
    while recorder.counters.spooled < n + 1:
        time.sleep(0.001)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
recorder.record("a.b", "u_1")
while not recorder.counters.disk_trouble:
    time.sleep(0.001)
print(recorder.counters.disk_trouble, recorder.counters.dropped)
"""


def said_by(program, spool):
    """What a program of its own prints, which has to end well."""
    done = subprocess.run(
        [sys.executable, "-c", program, spool],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return done.stdout


def test_a_broken_disk_is_no_reason_to_drop_what_is_on_it(tmp_path):
    assert said_by(BROKEN_DISK, tmp_path / "spool") == "[Errno 27] File too large {}\n"


def test_nothing_is_written_behind_half_a_frame(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("broken")

    def half(descriptor, data):
        os.write(descriptor, data[: len(data) // 2])
        fails()

    spool = Spool(tmp_path / "spool", 1 << 20, Tally(), sync=False)
    spool.append([b"first"])
    with monkeypatch.context() as broken:
        broken.setattr(spool_module, "_write_all", half)
        broken.setattr(os, "ftruncate", fails)
        with pytest.raises(OSError, match="broken"):
            spool.append([b"second"])
    spool.append([b"third"])
    spool.leave()
    found = Spool(tmp_path / "spool", 0, Tally(), sync=False)
    left = []
    while events := found.peek(10, 1000):
        found.advance(events)
        left += events
    found.close()
    assert left == [b"first", b"third"]


NO_MORE_FILES = """
import resource, sys, time
from smart_audit.client import Client, Recorder
recorder = Recorder(Client("localhost:1", api_key="sa_a_b"), spool=sys.argv[1], exit_s=0)
most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, most[1]))
recorder.record("a.b", "u_1")
print(recorder.counters.trouble)
resource.setrlimit(resource.RLIMIT_NOFILE, most)
recorder.record("a.b", "u_1")
while recorder.counters.spooled < 2:
    time.sleep(0.01)
"""


def test_a_program_that_may_open_no_more_files_goes_on_and_so_does_the_recorder(tmp_path):
    assert "Too many open files" in said_by(NO_MORE_FILES, tmp_path / "spool")


async def test_a_folder_that_cannot_be_read_keeps_no_other_from_being_sent(
    gateway, client, recorder_to, source, tmp_path
):
    (tmp_path / "spool" / "process-0-broken" / "lock").mkdir(parents=True)
    spooled(tmp_path / "spool" / "process-1-dead", source, range(3))
    recorder = recorder_to(gateway.address)
    record(recorder, source, [3])
    await flush(recorder)
    assert await arrived(client, source) == [0, 1, 2, 3]


DISK_FULL = """
if limit := int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
n = 0
def more():
    global n
    recorder.record("recorder.test", "u_1", source=source, metadata={"n": n, "pad": "x" * 1000})
    n += 1
while not recorder.counters.disk_trouble:
    more()
    time.sleep(0.0005)
while n < recorder.counters.accepted + 100:
    more()
full = recorder.counters
print(json.dumps([n, full.accepted, full.spooled, full.dropped, full.disk_trouble]), flush=True)
sys.stdin.readline()
assert recorder.flush(30), recorder.counters
more()
time.sleep(1)
more()
assert recorder.flush(30), recorder.counters
print(recorder.counters.sent - recorder.counters.accepted, recorder.counters.disk_trouble)
"""
SMALL_DISK = 'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$@"'


async def small_disk(folder):
    """What to run a program by so that `folder` is a disk of 256 KiB, if this machine lets us."""
    if shutil.which("unshare") is None:
        return None
    by = ("unshare", "-rm", "sh", "-c", SMALL_DISK, str(folder))
    tried = await asyncio.create_subprocess_exec(*by, "true", stderr=subprocess.DEVNULL)
    return by if await tried.wait() == 0 else None


async def test_a_full_disk_is_told_and_costs_only_what_has_no_room_in_memory(
    cable, client, machine, source, tmp_path
):
    disk = tmp_path / "disk"
    disk.mkdir()
    by = await small_disk(disk)
    # Where no small disk can be had, no file may grow beyond some size: the same failure.
    limit = 0 if by else 100_000
    options = {"queue_events": 100}
    async with program(
        DISK_FULL, cable.address, machine, disk / "spool", source, 0, 0, limit, by or (), **options
    ) as process:
        told = json.loads(await process.stdout.readline())
        offered, accepted, spooled, dropped, trouble = told
        assert spooled < accepted < offered
        assert accepted == spooled + 100
        assert dropped == {"queue_full": offered - accepted}
        assert trouble.startswith("[Errno")
        await cable.plug()
        process.stdin.write(b"go on\n")
        assert await process.stdout.readline() == b"0 \n"
        assert await process.wait() == 0
    assert await arrived(client, source) == [*range(accepted), offered, offered + 1]
