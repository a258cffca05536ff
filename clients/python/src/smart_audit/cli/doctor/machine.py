"""What the doctor sees of this machine, without any service."""

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from re import match
from typing import Final

from smart_audit.client.profiles import Profiles

Finding = dict[str, str]

_OLDEST_PYTHON: Final = (3, 11)
_OURS: Final = ("smart-audit-client", "smart-audit-stack", "smart-audit-auth", "smart-audit-audit")
_PRIVATE: Final = 0o077


def findings() -> Iterator[Finding]:
    """What there is to see; nothing is changed."""
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        yield finding("python.version", "failed", running, "install Python 3.11 or newer")
    else:
        yield finding("python.version", "ok", running)
    yield from _packages()
    yield from _profiles()


def _packages() -> Iterator[Finding]:
    """Whether what our packages name is installed. Versions are those of the lock file."""
    for name in _OURS:
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue
        missing = [
            package[0]
            for one in needed
            if "extra ==" not in one and (package := match(r"[A-Za-z0-9._-]+", one))
            if not _is_there(package[0])
        ]
        if missing:
            yield finding(
                "python.packages",
                "failed",
                f"{name} lacks {', '.join(missing)}",
                "install it again: make setup, or pip install with the lock file",
            )
        else:
            yield finding("python.packages", "ok", f"{name} {version(name)}")


def _is_there(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _profiles() -> Iterator[Finding]:
    known = Profiles.of_user()
    for path in (known.config_file, known.credentials_file):
        if not path.exists():
            continue
        if path == known.credentials_file and path.stat().st_mode & _PRIVATE:
            yield finding("secrets.files", "failed", f"others may read {path}", f"chmod 600 {path}")
        else:
            yield finding("profiles.readable", "ok", str(path))


def finding(check: str, state: str, found: str, remedy: str = "") -> Finding:
    """One thing that was looked at."""
    return {"check": check, "state": state, "found": found, "remedy": remedy}
