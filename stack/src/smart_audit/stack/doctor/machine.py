"""Disk, files and ports."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from smart_audit.stack import foreground, ports
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.doctor.finding import Finding, finding
from smart_audit.stack.problem import Problem

_LEAST_SPACE = 1024**3  # bytes
_PRIVATE = 0o077


def space(root: Path) -> Finding:
    """Whether there is room for data."""
    place = next(one for one in (root, *root.parents) if one.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GiB free at {place}"
    if free < _LEAST_SPACE:
        return finding("disk.space", "failed", found, "make room, or use another --data-dir")
    return finding("disk.space", "ok", found)


def files(data: DataDir) -> Iterator[Finding]:
    """Files with secrets are for their owner alone."""
    for path in (data.secrets, Path(".env").absolute()):
        if not path.exists():
            continue
        mode = path.stat().st_mode & 0o777
        if mode & _PRIVATE:
            remedy = f"chmod 600 {path}"
            yield finding("secrets.files", "failed", f"others may read {path}", remedy)
        else:
            yield finding("secrets.files", "ok", f"{path} is its owner's alone")


def free_ports() -> Iterator[Finding]:
    """Whether the usual ports are free."""
    usual = foreground.Asked()
    for port, what, option in (
        (usual.port, "the gateway", "--port"),
        (usual.auth_port, "auth", "--auth-port"),
        (usual.audit_port, "audit", "--audit-port"),
    ):
        try:
            ports.refuse_taken(usual.host, port, what, option)
        except Problem as problem:
            found, _, remedy = str(problem).partition("; ")
            yield finding("ports.free", "warning", found, remedy.rstrip("."))
        else:
            yield finding("ports.free", "ok", f"{port} for {what}")
