"""`python -m smart_audit.audit verify-database`: everything in the database against all else."""

import sys
import time
from uuid import UUID

from psycopg import AsyncConnection
from pydantic import SecretStr

from smart_audit.audit.integrity import database
from smart_audit.audit.integrity.findings import Finding, Watch
from smart_audit.audit.integrity.kept import KeptCheckpoint
from smart_audit.audit.integrity.memory import memory_of, remember, remembered
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.settings import AuditSettings
from smart_audit.core.database import connect_args

VERIFICATION_FAILED = 6
SHOWN_FINDINGS = 20
SHOW_EVERY_S = 0.1


async def verify_database(settings: AuditSettings) -> None:
    """Verify, tell progress and findings on stderr, and the verdict on stdout.

    What was found right is remembered, so that the next run sees whether something was taken back.

    Raises: SystemExit with code 6 when something is wrong; RuntimeError; psycopg.Error.
    """
    secrets = Secrets.of(settings.sealing_key(), settings.log_origin)
    memory = memory_of(secrets)
    logs = remembered(memory)
    told = Told(logs)
    async with await AsyncConnection.connect(
        _owner(settings.migration_database_url),
        autocommit=True,
        **connect_args("smart-audit-audit-verify"),
    ) as connection:
        async for finding in database.verify_database(
            connection, secrets, told.watch(), dict(logs)
        ):
            told.finding(finding)
    remember(memory, logs)
    told.verdict()
    if told.findings:
        sys.stderr.write(f"what the logs were like before is in {memory}\n")
        sys.exit(VERIFICATION_FAILED)


class Told:
    """What the person sees. `logs` takes up each log that was found right."""

    def __init__(self, logs: dict[UUID, KeptCheckpoint]) -> None:
        self.findings = 0
        self._logs = logs
        self._live = sys.stderr.isatty()
        self._shown_at = 0.0
        self._of = 0
        self._begun = 0
        self._size = 0
        self._entries = 0
        self._entries_of_log = 0

    def watch(self) -> Watch:
        """What is told meanwhile."""
        return Watch(
            logs=self._count_logs, log=self._log, entries=self._go_on, verified=self._verified
        )

    def finding(self, finding: Finding) -> None:
        """Show a finding, unless there have been many."""
        self.findings += 1
        if self.findings <= SHOWN_FINDINGS:
            self._write(f"{finding}\n")

    def verdict(self) -> None:
        """Say what it came to."""
        self._write("")
        if self.findings > SHOWN_FINDINGS:
            self._write(f"and {self.findings - SHOWN_FINDINGS} more\n")
        what = f"{self._entries} entries in {_counted(self._begun, 'log')}"
        if self.findings:
            found = _counted(self.findings, "finding")
            sys.stdout.write(f"verification failed: {found}, among {what}\n")
        else:
            sys.stdout.write(f"verified {what}: everything in the database agrees\n")

    def _count_logs(self, count: int) -> None:
        self._of = count

    def _log(self, organisation_id: UUID, size: int) -> None:
        self._begun += 1
        self._size, self._entries_of_log = size, 0
        if not self._live:
            place = f"log {self._begun} of {max(self._of, self._begun)}"
            self._write(f"verifying {place}, organisation {organisation_id}: {size} entries\n")

    def _go_on(self, entries: int) -> None:
        self._entries += entries
        self._entries_of_log += entries
        now = time.monotonic()
        if self._live and now - self._shown_at >= SHOW_EVERY_S:
            self._shown_at = now
            place = f"log {self._begun} of {max(self._of, self._begun)}"
            self._write(f"verifying {place}: {self._entries_of_log} of {self._size} entries")

    def _verified(self, kept: KeptCheckpoint) -> None:
        self._logs[kept.organisation_id] = kept

    def _write(self, text: str) -> None:
        # On a terminal the counter stands in a line of its own, which the next one replaces.
        sys.stderr.write(f"\r\x1b[K{text}" if self._live else text)
        sys.stderr.flush()


def _owner(url: SecretStr | None) -> str:
    if url is None or not url.get_secret_value():
        raise RuntimeError(
            "AUDIT_MIGRATION_DATABASE_URL: set it to the URL of the database's owner, who may "
            "read every row"
        )
    return url.get_secret_value()


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
