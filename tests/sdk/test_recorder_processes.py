"""What a program's processes leave behind, and what forks do, costs a recorder nothing."""

import signal

from tests.sdk.recording import arrived, files, flush, program, record

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
