"""The system user that runs Postgres when the stack is started by root.

Postgres refuses to run as root. The user needs passage to the binaries and to the data even when
a directory above them is closed (`/root`, a private temporary directory): it is granted to that
one user by a POSIX ACL, search permission only, and the rest of the world stays out.
"""

import errno
import os
import pwd
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smart_audit.stack.problem import Problem

USER_NAME = "smart-audit"

_ACL = "system.posix_acl_access"
_ACL_VERSION = 2
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_READ, _SEARCH = 4, 1
_UNSUPPORTED = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.ENOSYS, errno.EINVAL}


@dataclass(frozen=True, slots=True)
class Account:
    """A user that a child process becomes."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class _Entry:
    tag: int
    permissions: int
    id: int = _NO_ID


def postgres_account() -> Account | None:
    """Return the user to run Postgres as, made when missing; None means "as ourselves".

    Raises: Problem when we are root and the user can be neither found nor made.
    """
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(USER_NAME)
    except KeyError:
        _make_user()
        found = pwd.getpwnam(USER_NAME)
    return Account(found.pw_uid, found.pw_gid)


def grant_passage(account: Account, target: Path) -> list[Path]:
    """Let the account reach `target` (a directory) and return the directories opened for it."""
    opened = []
    for folder in (*reversed(target.parents), target):
        if not _can(account, "-x", folder):
            _grant(folder, account, _SEARCH)
            opened.append(folder)
    return opened


def grant_reading(account: Account, tree: Path) -> list[Path]:
    """Let the account read and run everything under `tree`, as after an install with umask 077."""
    opened = grant_passage(account, tree)
    if _can(account, "-r", *_samples(tree)):
        return opened
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or os.access(path, os.X_OK)
            _grant(path, account, _READ | (_SEARCH if executable else 0))
    return [*opened, tree]


def _samples(tree: Path) -> Iterator[Path]:
    """Every directory and one file of each: installers give all files of a folder one mode."""
    for folder, _, files in os.walk(tree):
        yield Path(folder)
        if files:
            yield Path(folder, files[0])


def _make_user() -> None:
    tool = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if tool is None:
        raise Problem(
            f"Postgres cannot run as root and useradd is missing; make a system user named "
            f"{USER_NAME}, or start Smart Audit as an ordinary user."
        )
    command = [tool, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER_NAME]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise Problem(
            f"Cannot make the system user {USER_NAME} for Postgres ({done.stderr.strip()}); "
            "make it by hand, or start Smart Audit as an ordinary user."
        )


def _can(account: Account, test: str, *paths: Path) -> bool:
    """Ask the kernel by trying, as the account: modes and ACLs alone do not tell all.

    All paths by one process: a start would spend seconds on one for each.
    """
    script = f'for path; do [ {test} "$path" ] || exit 1; done'
    done = subprocess.run(  # noqa: S603 -- paths are arguments of the script, not part of it
        ["/bin/sh", "-c", script, "sh", *map(str, paths)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return done.returncode == 0


def _grant(path: Path, account: Account, permissions: int) -> None:
    """Add permissions for one user; open the directory's search bit where ACLs do not exist."""
    try:
        entries = _with_user(_read_acl(path), account.uid, permissions)
        os.setxattr(path, _ACL, _packed(entries))
    except (OSError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno not in _UNSUPPORTED:
            raise
        path.chmod(path.stat().st_mode | permissions)


def _read_acl(path: Path) -> list[_Entry]:
    try:
        raw = os.getxattr(path, _ACL)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        mode = path.stat().st_mode
        return [
            _Entry(_USER_OBJ, mode >> 6 & 7),
            _Entry(_GROUP_OBJ, mode >> 3 & 7),
            _Entry(_OTHER, mode & 7),
        ]
    return [_Entry(*fields) for fields in struct.iter_unpack("<HHI", raw[4:])]


def _with_user(entries: list[_Entry], uid: int, permissions: int) -> list[_Entry]:
    """Add the user's permissions, and widen the mask without giving anyone else more."""
    mask = next((e.permissions for e in entries if e.tag == _MASK), 7)
    held = next((e.permissions for e in entries if e.tag == _USER and e.id == uid), 0)
    limited = [
        _Entry(e.tag, e.permissions & mask, e.id) if e.tag in (_USER, _GROUP_OBJ, _GROUP) else e
        for e in entries
        if e.tag != _MASK and not (e.tag == _USER and e.id == uid)
    ]
    limited.append(_Entry(_USER, held & mask | permissions, uid))
    widest = 0
    for entry in limited:
        if entry.tag in (_USER, _GROUP_OBJ, _GROUP):
            widest |= entry.permissions
    return [*limited, _Entry(_MASK, widest)]


def _packed(entries: list[_Entry]) -> bytes:
    """Return the kernel's form: a version, then the entries by tag and id.

    Source: linux/posix_acl_xattr.h.
    """
    ordered = sorted(entries, key=lambda e: (e.tag, e.id))
    body = b"".join(struct.pack("<HHI", e.tag, e.permissions, e.id) for e in ordered)
    return struct.pack("<I", _ACL_VERSION) + body
