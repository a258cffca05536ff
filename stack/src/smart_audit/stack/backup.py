"""Backups of the database: `python -m smart_audit.stack.backup make|restore FOLDER`.

A backup is a folder of two dumps. The keys of persons are dumped apart from all else, and after it:
a dump that is kept for long lacks them, so that an erasure reaches it, and a key that an event of
the first dump needs is in the second. The address of the database's owner is in BACKUP_URL.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from smart_audit.stack import database
from smart_audit.stack.postgres import binary
from smart_audit.stack.problem import Problem

ADDRESS_VARIABLE = "BACKUP_URL"
LOG_DUMP, KEYS_DUMP, MANIFEST = "log.dump", "keys.dump", "manifest.json"
_DUMPS = (LOG_DUMP, KEYS_DUMP)
_KEYS_TABLE = "audit.subject_keys"
_MANIFEST_VERSION = 1


def make(owner_url: str, folder: Path) -> Path:
    """Make a backup in a new folder below `folder`; return the new one.

    It is complete as soon as it has its name: what was cut short by a crash is called `*.part`,
    and what has failed is removed.

    Raises: Problem when the database cannot be dumped.
    """
    made_at = datetime.now(UTC)
    target = folder / made_at.strftime("%Y-%m-%dT%H%M%SZ")
    draft = target.with_suffix(".part")
    draft.mkdir(parents=True, mode=0o700)
    try:
        _dump(owner_url, draft, made_at)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return target


def _dump(owner_url: str, draft: Path, made_at: datetime) -> None:
    dump = ("pg_dump", "--format=custom", "--lock-wait-timeout=60s")
    _run(owner_url, *dump, f"--exclude-table-data={_KEYS_TABLE}", f"--file={draft / LOG_DUMP}")
    _run(owner_url, *dump, "--data-only", f"--table={_KEYS_TABLE}", f"--file={draft / KEYS_DUMP}")
    manifest = {
        "version": _MANIFEST_VERSION,
        "made_at": made_at.isoformat(),
        "sha256": {name: _digest(draft / name) for name in _DUMPS},
    }
    with (draft / MANIFEST).open("w") as file:
        file.write(json.dumps(manifest, indent=2) + "\n")
        file.flush()
        # pg_dump does so with what it writes.
        os.fsync(file.fileno())


def restore(owner_url: str, backup: Path) -> None:
    """Restore a backup into a database that has none of our data.

    Raises: Problem when the backup is damaged, or the database is not empty.
    """
    manifest = read_manifest(backup)
    for name, digest in manifest["sha256"].items():
        if _digest(backup / name) != digest:
            raise Problem(f"{backup / name} is not the file that was backed up; take another one.")
    with psycopg.connect(owner_url, autocommit=True) as connection:
        if connection.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname IN ('auth', 'audit')"
        ).fetchone():
            raise Problem("The database holds data already; restore into an empty one.")
        # Roles are no part of a dump, and its grants name them. `migrate` sets their passwords.
        for role in database.ROLES.values():
            if not connection.execute(
                "SELECT 1 FROM pg_roles WHERE rolname = %s", [role]
            ).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    # The comment of an extension belongs to whoever made it, which may be somebody else.
    into = ("pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-comments")
    for name in _DUMPS:
        _run(owner_url, *into, str(backup / name))


def read_manifest(backup: Path) -> dict[str, Any]:
    """What a backup says of itself. Raises: Problem."""
    try:
        manifest: dict[str, Any] = json.loads((backup / MANIFEST).read_text())
        whole = manifest["version"] == _MANIFEST_VERSION and set(manifest["sha256"]) == set(_DUMPS)
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise Problem(f"{backup} is no whole backup: it lacks a good {MANIFEST}.")
    return manifest


def _run(owner_url: str, program: str, *arguments: str) -> None:
    """Run a program of Postgres; the password is in its environment, which others cannot see."""
    address: dict[str, Any] = conninfo_to_dict(owner_url)
    secret = {"PGPASSWORD": str(address.pop("password"))} if "password" in address else {}
    done = subprocess.run(  # noqa: S603 - a program of Postgres, and no shell
        [str(binary(program)), f"--dbname={make_conninfo(**address)}", *arguments],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", **secret},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise Problem(f"{program} has failed: {said[0] if said else done.returncode}")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror}).") from error


def main(arguments: list[str]) -> int:
    """Make or restore a backup; print its folder, or one sentence of what went wrong."""
    verb, folder = arguments
    os.umask(0o077)
    owner_url = os.environ[ADDRESS_VARIABLE]
    try:
        if verb == "make":
            print(make(owner_url, Path(folder)))
        else:
            restore(owner_url, Path(folder))
    except (Problem, OSError, psycopg.Error) as problem:
        print(f"smart-audit: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
