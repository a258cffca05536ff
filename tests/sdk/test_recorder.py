"""The recorder never stands in a program's way, and loses nothing but what it says."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from smart_audit.api.auth.v1 import organisations_pb2
from smart_audit.client import AsyncClient, Client, Drop, Recorder, new_event
from smart_audit.client.recorder import spool as spool_module
from smart_audit.client.recorder.counters import Tally
from smart_audit.client.recorder.queue import Queue
from smart_audit.client.recorder.spool import Spool
from smart_audit.client.recorder.worker import TRY_DISK_S
from tests.cli.cable import cable_to

LIMIT_S = 60


@pytest.fixture
def source():
    """Whose events are looked for."""
    return f"recorder-{uuid4().hex[:12]}"


@pytest.fixture
async def cable(gateway):
    """The way to the gateway, not plugged in yet."""
    async with cable_to(gateway.address) as cable:
        yield cable


@pytest.fixture
def recorder_to(machine, tmp_path):
    """Makes recorders, which are closed at the end."""
    made = []

    def make(address, **options):
        options = {"spool": tmp_path / "spool", "linger_s": 0.01, "exit_s": 0, **options}
        made.append(Recorder(Client(address, api_key=machine[1].secret), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def arrived(client, source):
    """The numbers of a source's events, in the order of the log."""
    found = [event async for event in client.events.list(f'source="{source}"')]
    found.sort(key=lambda event: event.log_index)
    return [int(event.metadata["n"]) for event in found]


def record(recorder, source, numbers):
    for n in numbers:
        recorder.record("recorder.test", "u_1", source=source, metadata={"n": n})


async def flush(recorder):
    assert await asyncio.to_thread(recorder.flush, LIMIT_S), recorder.counters


async def until(true):
    async with asyncio.timeout(LIMIT_S):
        while not true():
            await asyncio.sleep(0.01)


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


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
    await until(lambda: recorder.counters.spooled == 300)
    assert recorder.counters.trouble
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


PROCESS = """
import json, resource, sys, time
from smart_audit.client import Client, Recorder
address, key, spool, source, first, end, limit, options = sys.argv[1:]
client = Client(address, api_key=key)
recorder = Recorder(client, spool=spool, linger_s=0.01, exit_s=20, **json.loads(options))
for n in range(int(first), int(end)):
    recorder.record("recorder.test", "u_1", source=source, metadata={"n": n})
"""
STAYS = """
while recorder.counters.spooled < int(end) - int(first):
    time.sleep(0.01)
print("spooled", flush=True)
time.sleep(100)
"""
FORKS = """
import os
assert recorder.flush(20)
if os.fork() == 0:
    for n in range(100, 150):
        recorder.record("recorder.test", "u_1", source=source + "-child", metadata={"n": n})
    assert recorder.flush(20) and recorder.counters.accepted == 50
    os._exit(0)
for n in range(int(end), int(end) + 50):
    recorder.record("recorder.test", "u_1", source=source, metadata={"n": n})
assert os.wait()[1] == 0
"""


@asynccontextmanager
async def program(
    text, address, machine, spool, source, first=0, end=100, limit=0, by=(), **options
):
    arguments = (address, machine[1].secret, spool, source, first, end, limit, json.dumps(options))
    process = await asyncio.create_subprocess_exec(
        *by, sys.executable, "-W", "ignore", "-c", PROCESS + text, *map(str, arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith(("COV", "GRPC_ENABLE"))},
    )  # fmt: skip
    async with asyncio.timeout(LIMIT_S):
        yield process


async def test_what_a_killed_process_left_is_sent_by_the_next(
    gateway, cable, client, recorder_to, machine, source, tmp_path
):
    spool = tmp_path / "spool"
    async with program(STAYS, cable.address, machine, spool, source) as process:
        assert await process.stdout.readline() == b"spooled\n"
        # While it lives its events are its own.
        recorder = recorder_to(gateway.address)
        record(recorder, source, [100])
        await flush(recorder)
        assert recorder.counters.sent == 1
        process.send_signal(signal.SIGKILL)
        await process.wait()
    recorder.close()
    next_one = recorder_to(gateway.address)
    record(next_one, f"{source}-next", [0])
    await flush(next_one)
    assert await arrived(client, source) == [100, *range(100)]
    next_one.close()
    assert files(spool) == []


async def test_forks_go_on_and_a_program_that_ends_has_sent_everything(
    gateway, client, machine, source, tmp_path
):
    spool = tmp_path / "spool"
    async with program(FORKS, gateway.address, machine, spool, source) as process:
        assert await process.wait() == 0
    assert await arrived(client, source) == list(range(150))
    assert await arrived(client, f"{source}-child") == list(range(100, 150))
    assert set(files(spool)) <= {"lock", "owner"}


def spooled(folder, source, numbers):
    """A folder as a process that was killed left it."""
    spool = Spool(folder, 1 << 20, Tally(), sync=True)
    for n in numbers:
        event = new_event("recorder.test", "u_1", source=source, metadata={"n": n})
        spool.append([event.SerializeToString()])
    spool.leave()
    (segment,) = folder.glob("*.events")
    return segment


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


def test_a_broken_disk_is_no_reason_to_drop_what_is_on_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BROKEN_DISK, tmp_path / "spool"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    assert done.stdout == "[Errno 27] File too large {}\n"


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
    done = subprocess.run(
        [sys.executable, "-c", NO_MORE_FILES, tmp_path / "spool"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    assert "Too many open files" in done.stdout


async def test_a_folder_that_cannot_be_read_keeps_no_other_from_being_sent(
    gateway, client, recorder_to, source, tmp_path
):
    (tmp_path / "spool" / "process-0-broken" / "lock").mkdir(parents=True)
    spooled(tmp_path / "spool" / "process-1-dead", source, range(3))
    recorder = recorder_to(gateway.address)
    record(recorder, source, [3])
    await flush(recorder)
    assert await arrived(client, source) == [0, 1, 2, 3]


async def test_a_key_that_is_refused_is_no_reason_to_lose_events(
    gateway, world, machines, client, machine, source, tmp_path
):
    wrong = Client(gateway.address, api_key="sa_00000000_" + "0" * 49)
    options = {"spool": tmp_path / "spool", "linger_s": 0.01, "exit_s": 0}
    with Recorder(wrong, **options) as recorder:
        record(recorder, source, range(5))
        await until(lambda: recorder.counters.spooled == 5 and recorder.counters.trouble)
        assert "CLIENT_INVALID" in recorder.counters.trouble
    with Recorder(Client(gateway.address, api_key=machine[1].secret), **options) as recorder:
        record(recorder, f"{source}-more", [0])
        await flush(recorder)
    assert await arrived(client, source) == list(range(5))


@pytest.fixture
async def credentials(world, machines, machine):
    """By kind: somebody's, others of his organisation, and those of another organisation."""
    user, key = machine
    stranger = await world.new_user()
    scopes = ("events.read", "events.record")
    return {
        "keys": [
            {"api_key": key.secret},
            {"api_key": (await machines.new_machine(user, *scopes)).secret},
            {"api_key": (await machines.new_machine(stranger, *scopes)).secret},
        ],
        "tokens": [
            {"access_token": user.access_token},
            {"access_token": (await world.login(user.email)).access_token},
            {"access_token": stranger.access_token},
        ],
    }


@pytest.fixture
def recorder_of(cable, tmp_path, monkeypatch):
    """Makes recorders that keep events in the user's folder."""
    monkeypatch.setenv("SMART_AUDIT_SPOOL_DIR", str(tmp_path / "state"))

    def make(credentials):
        return Recorder(Client(cable.address, **credentials), linger_s=0.01, exit_s=0)

    return make


@pytest.mark.parametrize("kind", ["keys", "tokens"])
async def test_what_is_left_goes_into_the_log_of_its_organisation_alone(
    gateway, cable, client, recorder_of, credentials, source, caplog, kind
):
    own, next_one, strange = credentials[kind]
    await cable.plug()
    with recorder_of(own) as recorder:
        record(recorder, source, [0])
        await flush(recorder)
        await cable.pull()
        record(recorder, source, [1, 2])
        await until(lambda: recorder.counters.spooled == 3)
    await cable.plug()
    with recorder_of(strange) as recorder:
        record(recorder, f"{source}-strange", [0])
        await flush(recorder)
        assert recorder.counters.sent == 1
    assert "holds events of organisation" in caplog.text
    async with AsyncClient(gateway.address, **strange) as stranger:
        assert await arrived(stranger, source) == []
    with recorder_of(next_one) as recorder:
        record(recorder, source, [3])
        await flush(recorder)
    assert await arrived(client, source) == [0, 1, 2, 3]


async def test_what_a_key_left_that_was_never_exchanged_waits_for_that_key(
    cable, client, recorder_of, credentials, source, caplog
):
    own, next_one, _ = credentials["keys"]
    with recorder_of(own) as recorder:
        record(recorder, source, [0])
        await until(lambda: recorder.counters.spooled == 1)
    await cable.plug()
    for key, expected in ((next_one, [1]), (own, [1, 0, 2])):
        with recorder_of(key) as recorder:
            record(recorder, source, [expected[-1]])
            await flush(recorder)
        assert await arrived(client, source) == expected
    assert f"holds events of key {own['api_key'].rpartition('_')[0]}," in caplog.text


async def test_a_session_that_is_moved_takes_no_events_along(cable, world, recorder_of, source):
    user = await world.new_user()
    other = await world.organisations.CreateOrganisation(
        organisations_pb2.CreateOrganisationRequest(name="Other"), metadata=user.metadata
    )
    tokens = {"access_token": user.access_token, "refresh_token": user.refresh_token}
    await cable.plug()
    with recorder_of(tokens) as recorder:
        record(recorder, source, [0])
        await flush(recorder)
        moved = await world.organisations.SwitchOrganisation(
            organisations_pb2.SwitchOrganisationRequest(
                organisation_id=other.organisation.id, refresh_token=user.refresh_token
            ),
            metadata=user.metadata,
        )
        record(recorder, source, [1])
        await until(lambda: recorder.counters.trouble)
        assert user.organisation_id in recorder.counters.trouble
    async with AsyncClient(cable.address, access_token=moved.access_token) as there:
        assert await arrived(there, source) == []


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
