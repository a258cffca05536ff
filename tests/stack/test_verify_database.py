"""`smart-audit verify database`: beside a running system, and without one."""

import subprocess
import sys

import psycopg
import pytest

from tests.stack.running import environment, eventually
from tests.stack.test_up import database_password, signed_up


def verify(folder, **extra):
    """Run the verification to its end."""
    return command(folder, "verify", "database", **extra)


def command(folder, *words, **extra):
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "smart_audit.cli", *words],
        cwd=folder,
        env=environment(XDG_STATE_HOME=str(folder / "memory"), **extra),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.soak
def test_it_works_whether_the_system_runs_or_not(folder, stack):
    ended = verify(folder)
    assert ended.returncode == 1
    assert "has no database yet; smart-audit up makes one" in ended.stderr
    running = stack()
    assert signed_up(running)
    with psycopg.connect(
        host=running.state["socket_dir"],
        user="postgres",
        dbname="smart_audit",
        password=database_password(running),
        autocommit=True,
    ) as superuser:
        eventually(
            lambda: superuser.execute("SELECT FROM audit.entries").rowcount >= 1, "an event came"
        )
        ended = verify(folder)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.endswith("everything in the database agrees\n")
        ended = command(folder, "admin", "grant", "nobody@example.com")
        assert (ended.returncode, ended.stderr) == (
            1,
            "nobody has signed up with nobody@example.com\n",
        )
        superuser.execute("UPDATE audit.payloads SET actor_id = 'somebody else'")
        assert verify(folder).returncode == 6
    assert running.stop() == 0
    ended = verify(folder)
    assert ended.returncode == 6
    assert "log index 0: actor_id is not that of the leaf" in ended.stderr
    assert ended.stdout.startswith("verification failed: ")
    assert not running.left_over()


@pytest.mark.soak
def test_a_backup_of_a_running_system_is_restored_elsewhere(folder, stack):
    running = stack()
    assert signed_up(running)
    made = command(folder, "backup", "backups")
    assert made.returncode == 0, made.stderr
    assert running.stop() == 0
    backup, new = made.stdout.strip(), ("--data-dir", "new")
    ended = command(folder, "restore", backup, *new)
    assert "name that file with --secrets" in ended.stderr
    secrets = str(folder / ".smart-audit" / "secrets.json")
    ended = command(folder, "restore", backup, "--secrets", secrets, *new)
    assert ended.returncode == 0, ended.stderr
    ended = command(folder, "verify", "database", *new)
    assert ended.returncode == 0, ended.stderr
    again = stack(*new)
    assert again.stop() == 0


def test_an_outside_database_needs_the_secrets_that_belong_to_it(folder, cluster):
    ended = verify(folder, DATABASE_URL=cluster.new_database().owner_url)
    assert ended.returncode == 1
    assert "secrets.json is missing" in ended.stderr
