"""The data directory: its layout, its lock, and the state that other commands read."""

import fcntl
import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smart_audit.stack.problem import Problem


@dataclass(frozen=True, slots=True)
class DataDir:
    """Where one stack keeps everything; `root` is absolute."""

    root: Path

    @property
    def postgres(self) -> Path:
        """The embedded database cluster (PGDATA)."""
        return self.root / "postgres"

    @property
    def run(self) -> Path:
        """Files that only matter while the stack runs: sockets, rendered configuration."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One log a process, appended to."""
        return self.root / "logs"

    @property
    def mail(self) -> Path:
        """The outbox folder: mail that no SMTP server takes."""
        return self.root / "mail"

    @property
    def tls(self) -> Path:
        """The authority that vouches for the gateway, and the gateway's certificate."""
        return self.root / "tls"

    @property
    def mtls(self) -> Path:
        """The authority by which services and gateway know each other, and their certificates."""
        return self.root / "mtls"

    @property
    def secrets(self) -> Path:
        """Passwords and key-encryption keys, mode 0600."""
        return self.root / "secrets.json"

    @property
    def lock(self) -> Path:
        """Locked by the running supervisor; holds its process id."""
        return self.root / "lock"

    @property
    def state(self) -> Path:
        """Ports and addresses; present only while everything is healthy."""
        return self.root / "state.json"

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.logs / f"{name}.log"

    def write_state(self, state: dict[str, Any]) -> None:
        """Publish the state in one step: a reader sees all of it or none."""
        draft = self.state.with_suffix(".tmp")
        draft.write_text(json.dumps(state, indent=2) + "\n")
        draft.chmod(0o600)
        draft.replace(self.state)

    def read_state(self) -> dict[str, Any]:
        """What the running supervisor has published. Raises: Problem while it starts or stops."""
        try:
            state: dict[str, Any] = json.loads(self.state.read_text())
        except FileNotFoundError as error:
            raise Problem(
                f"Smart Audit on {self.root} is starting or stopping; try again in a moment."
            ) from error
        return state


@contextmanager
def claimed(root: Path) -> Iterator[DataDir]:
    """Hold a data directory for this process, making it when it does not exist.

    Raises: Problem when another supervisor holds it, when it is not ours, or cannot be written.
    """
    data = DataDir(root.expanduser().absolute())
    try:
        _prepare(data)
        descriptor = os.open(data.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Problem(
            f"Cannot use the data directory {data.root} ({error.strerror}); "
            "choose another with --data-dir."
        ) from error
    try:
        _take(descriptor, data)
        data.state.unlink(missing_ok=True)  # left by a supervisor that was killed
        yield data
    finally:
        # The file stays: removing it would let two later starts lock two different files.
        os.close(descriptor)


def holder(data: DataDir) -> int | None:
    """Return the process id of the running supervisor, or None when nothing runs."""
    try:
        descriptor = os.open(data.lock, os.O_RDWR)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Problem(f"{data.root} belongs to another user; run this command as them.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(descriptor, 32) or b"0")
    finally:
        os.close(descriptor)
    return None


def _prepare(data: DataDir) -> None:
    if data.root.exists():
        _refuse_foreign(data)
    # Parents get the usual mode; only the directory itself is private.
    data.root.parent.mkdir(parents=True, exist_ok=True)
    for folder in (data.root, data.run, data.logs):
        folder.mkdir(mode=0o700, exist_ok=True)


def _refuse_foreign(data: DataDir) -> None:
    """Refuse a directory that holds something else, or that belongs to somebody else."""
    if not data.root.is_dir():
        raise Problem(f"{data.root} is not a directory; choose another with --data-dir.")
    owner = data.root.stat().st_uid
    if owner != os.geteuid():
        raise Problem(
            f"The data directory {data.root} belongs to {_user_name(owner)}; "
            "run as that user, or choose another with --data-dir."
        )
    # A service that was run by hand in this folder has left its mail here.
    foreign = set(data.root.iterdir()) - {data.mail}
    if foreign and not data.lock.exists():
        raise Problem(
            f"{data.root} holds files that are not Smart Audit's; "
            "choose an empty or a new directory with --data-dir."
        )


def _take(descriptor: int, data: DataDir) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.read(descriptor, 32).decode().strip() or "unknown"
        raise Problem(
            f"Smart Audit is already running on {data.root} (process {pid}); "
            f"stop it with: smart-audit down --data-dir {data.root}"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user id {uid}"
