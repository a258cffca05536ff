"""What `up` refuses, and how it says so: one sentence, exit code 1."""

import os
import signal
import subprocess
import sys

import pytest

from smart_audit.stack.datadir import claimed
from tests.stack.running import free_port, outside_postgres, refusal, smart_audit


@pytest.fixture
def old_data(folder):
    """A data directory with an embedded cluster in it, as far as its files tell."""
    data = folder / ".smart-audit"
    cluster = data / "postgres"
    cluster.mkdir(parents=True)
    (data / "lock").touch()
    (cluster / "PG_VERSION").write_text("18\n")
    return data


def up(folder, **extra: str) -> str:
    ports = [str(free_port()) for _ in range(3)]
    options = ["--port", ports[0], "--auth-port", ports[1], "--audit-port", ports[2]]
    return refusal(smart_audit("up", *options, cwd=folder, **extra))


def test_three_ports_must_differ(folder):
    done = smart_audit("up", "--port", "50051", cwd=folder)
    assert "three different ports" in refusal(done)


def test_a_directory_of_something_else_is_refused(folder):
    data = folder / ".smart-audit"
    data.mkdir()
    (data / "thesis.txt").touch()
    assert "holds files that are not Smart Audit's" in up(folder)
    assert [path.name for path in data.iterdir()] == ["thesis.txt"]


def test_mail_of_a_service_that_was_run_by_hand_is_no_obstacle(folder):
    data = folder / ".smart-audit"
    (data / "mail").mkdir(parents=True)
    with claimed(data) as claim:
        assert claim.lock.exists()


def test_a_file_in_place_of_the_directory_is_refused(folder):
    (folder / ".smart-audit").touch()
    assert "is not a directory" in up(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(folder, old_data):
    os.chown(old_data, 1, 1)
    assert "belongs to daemon" in up(folder)


def test_data_of_another_major_version_is_refused(folder, old_data):
    (old_data / "postgres" / "PG_VERSION").write_text("17\n")
    said = up(folder)
    assert "data of PostgreSQL version 17, and this is 18" in said
    assert "pg_dump" in said


def test_data_without_its_secrets_is_refused(folder, old_data):
    said = up(folder)
    assert f"{old_data}/secrets.json is missing" in said
    assert not (old_data / "secrets.json").exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", '"x"', "null"])
def test_damaged_secrets_are_refused(folder, old_data, content):
    (old_data / "secrets.json").write_text(content)
    assert "is damaged" in up(folder)


def test_an_orphaned_server_on_the_data_is_refused(folder, old_data):
    # A process that works in the cluster's directory, as a server does.
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], cwd=old_data / "postgres", stdin=subprocess.PIPE
    ) as orphan:
        (old_data / "postgres" / "postmaster.pid").write_text(f"{orphan.pid}\n")
        said = up(folder)
        orphan.send_signal(signal.SIGTERM)
    assert f"kill -INT {orphan.pid}" in said


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("mysql://root@localhost/x", "must look like postgresql://"),
        ("postgresql://u:hidden@127.0.0.1:1/x", "Cannot reach the database of DATABASE_URL"),
        ("postgresql+psycopg://u@127.0.0.1:1/x", "Cannot reach the database of DATABASE_URL"),
        ("postgresql://[broken/x", "must look like postgresql://"),
    ],
)
def test_an_unusable_database_url_is_refused(folder, url, word):
    said = up(folder, DATABASE_URL=url)
    assert word in said
    assert "hidden" not in said


def test_an_old_outside_server_is_refused(folder):
    with outside_postgres(folder, 16) as server:
        assert "PostgreSQL 16, and Smart Audit needs 17" in up(folder, DATABASE_URL=server.url())


def test_an_address_of_another_machine_is_refused(folder):
    done = smart_audit("up", "--host", "192.0.2.77", cwd=folder)
    assert "correct --host" in refusal(done)


def test_down_without_a_stack_says_so(folder):
    done = smart_audit("down", cwd=folder)
    assert (done.exit_code, done.stdout) == (0, f"nothing runs on {folder}/.smart-audit\n")
