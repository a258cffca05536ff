"""`python -m smart_audit.auth import-users <file>`: users of another system, with their hashes.

docs/import-users.md describes the lines.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.auth.domain import User, UserId
from smart_audit.auth.foreign_hashes import HashRefused, accepted
from smart_audit.auth.repository import CONNECTION_OPTIONS, Work
from smart_audit.auth.settings import AuthSettings
from smart_audit.auth.use_cases.common import Basics
from smart_audit.auth.use_cases.import_users import add_users
from smart_audit.auth.wiring import lifetimes_of
from smart_audit.core.database import open_engine
from smart_audit.core.ids import new_id, utc_now
from smart_audit.core.rpc.validation import violations_of

BATCH = 200
# Any password that a signup takes: a line is checked by the rules of a signup.
FITTING = "x" * 8
NAMES = ("email", "first_name", "last_name")
FIELDS = {*NAMES, "password_hash", "email_verified", "created_at"}


class LineRefused(ValueError):
    """A line cannot be imported, and why not; never with what it holds."""


@dataclass
class Report:
    """What became of the lines."""

    imported: int = 0
    taken: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"line {number}: the address is taken; left as it is" for number in self.taken]
        lines += [f"line {number}: {why}" for number, why in self.refused]
        counts = f"{self.imported} imported, {len(self.taken)} taken, {len(self.refused)} refused"
        return "\n".join([*lines, counts])


async def import_users(settings: AuthSettings, file: str) -> None:
    """Import the lines of a file, or of standard input for `-`, and report each that was not.

    Raises: RuntimeError when the file cannot be read, or a line was refused.
    """
    deps = Basics(now=utc_now, new_id=new_id, lifetimes=lifetimes_of(settings))
    async with open_engine(
        settings.database_url.get_secret_value(),
        pool_size=1,
        application="smart-audit-auth-import",
        options=CONNECTION_OPTIONS,
    ) as engine:
        try:
            with _opened(file) as lines:
                report = await import_lines(lines, Work(engine), deps)
        except OSError as error:
            raise RuntimeError(f"{file} cannot be read: {error.strerror}") from error
    sys.stdout.write(f"{report}\n")
    if report.refused:
        raise RuntimeError("some lines were refused; mend them and run the import again")


def _opened(file: str) -> BinaryIO:
    return sys.stdin.buffer if file == "-" else Path(file).open("rb")


async def import_lines(lines: Iterable[bytes], work: Work, deps: Basics) -> Report:
    """Import line by line, a few hundred at once; what is not imported does not stop the rest."""
    report = Report()
    read = _read(lines, report, deps)
    while batch := dict(islice(read, BATCH)):
        taken = await add_users(list(batch.values()), work, deps)
        report.imported += len(batch) - len(taken)
        report.taken += [number for number, user in batch.items() if user in taken]
    return report


def _read(lines: Iterable[bytes], report: Report, deps: Basics) -> Iterator[tuple[int, User]]:
    """(number of the line, user) of each line that is one."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield number, _to_user(line, deps)
        except LineRefused as refusal:
            report.refused.append((number, str(refusal)))


def _to_user(line: bytes, deps: Basics) -> User:
    """Raises: LineRefused."""
    values = _object(line)
    names = {name: values[name] for name in NAMES}
    violations = violations_of(auth_pb2.SignupRequest(password=FITTING, **names))
    if violations:
        raise LineRefused("; ".join(f"{name} {what}" for name, what in violations.items()))
    now = deps.now()
    return User(
        id=UserId(deps.new_id()),
        password_hash=_hash(values["password_hash"]),
        created_at=_time(values["created_at"]) or now,
        email_verified_at=now if values["email_verified"] else None,
        **names,
    )


def _object(line: bytes) -> dict[str, Any]:
    """The fields of a line, all there and of their types."""
    defaults = {**dict.fromkeys(FIELDS, ""), "email_verified": False}
    try:
        given = json.loads(line)
    except ValueError as error:
        raise LineRefused("is no JSON") from error
    if not isinstance(given, dict):
        raise LineRefused("is no JSON object")
    for name, value in given.items():
        if name not in FIELDS:
            raise LineRefused("has a field of another name than " + ", ".join(sorted(FIELDS)))
        if type(value) is not type(defaults[name]):
            raise LineRefused(f"{name} must be a {type(defaults[name]).__name__}")
    return defaults | given


def _hash(value: str) -> str | None:
    """The hash as it is stored; none for who has to reset the password first."""
    try:
        return accepted(value) if value else None
    except HashRefused as refusal:
        raise LineRefused(f"password_hash {refusal}") from refusal


def _time(value: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if value else None
    except ValueError as error:
        raise LineRefused("created_at is no time as in 2024-01-31T12:00:00Z") from error
    if time is not None and time.tzinfo is None:
        raise LineRefused("created_at needs a time zone, as in 2024-01-31T12:00:00Z")
    return time
