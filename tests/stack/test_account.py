"""Passage for the user that runs Postgres: for that one user, and no wider."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from smart_audit.stack import account as accounts
from smart_audit.stack.account import Account, grant_passage, grant_reading, postgres_account
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.postgres import socket_home
from smart_audit.stack.problem import Problem

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another")

STRANGER = Account(65_534, 65_534)


@pytest.fixture
def account() -> Account:
    found = postgres_account()
    assert found is not None
    return found


def can(account: Account, test: str, path: Path) -> bool:
    command = ["/bin/sh", "-c", f'[ {test} "$1" ]', "sh", str(path)]
    done = subprocess.run(
        command, user=account.uid, group=account.gid, extra_groups=[], cwd="/", check=False
    )
    return done.returncode == 0


def test_passage_is_for_one_user_and_search_only(folder, account):
    inner = folder / "inner"
    inner.mkdir(mode=0o700)
    opened = grant_passage(account, inner)
    assert opened[-2:] == [folder, inner]
    assert can(account, "-x", inner)
    assert not can(account, "-r", folder)
    assert not can(STRANGER, "-x", folder)
    assert grant_passage(account, inner) == []


def test_passage_widens_nobody_elses_rights(folder, account):
    # user 65534 has rwx in an ACL whose mask hides it all
    entries = [(1, 7, 2**32 - 1), (2, 7, 65_534), (4, 0, 2**32 - 1), (16, 0, 2**32 - 1),
               (32, 0, 2**32 - 1)]  # fmt: skip
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(folder, "system.posix_acl_access", packed)
    grant_passage(account, folder)
    assert can(account, "-x", folder)
    assert not can(STRANGER, "-x", folder)


def test_where_acls_are_missing_the_search_bit_is_opened(folder, account, monkeypatch):
    monkeypatch.delattr(os, "setxattr")
    grant_passage(account, folder)
    assert folder.stat().st_mode & 0o777 == 0o701


def test_a_tree_installed_with_a_closed_umask_becomes_readable(folder, account):
    tool = folder / "tree" / "bin" / "tool"
    tool.parent.mkdir(parents=True, mode=0o700)
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o700)
    (folder / "tree").chmod(0o700)
    grant_reading(account, folder / "tree")
    assert can(account, "-r", tool)
    assert can(account, "-x", tool)
    assert not can(account, "-w", tool)


def test_a_machine_without_useradd_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(accounts, "USER_NAME", "smart-audit-nobody-has-this")
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: None)
    with pytest.raises(Problem, match="useradd is missing"):
        postgres_account()


def test_sockets_move_when_their_path_would_be_too_long(tmp_path):
    short = DataDir(Path("/tmp/d"))
    assert socket_home(short) == short.run
    elsewhere = socket_home(DataDir(tmp_path / ("long" * 30)))
    assert elsewhere.stat().st_mode & 0o777 == 0o700
    elsewhere.rmdir()
