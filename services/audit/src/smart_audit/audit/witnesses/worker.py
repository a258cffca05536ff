"""Asks one witness for the cosignatures that it has not given yet, at its own pace."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from smart_audit.audit.domain import OrganisationId, StoredCheckpoint
from smart_audit.audit.errors import LogDamaged
from smart_audit.audit.repository import Database
from smart_audit.audit.use_cases.checkpoint import Checkpointing
from smart_audit.audit.use_cases.cosign import (
    add_cosignature,
    ask_for_extension,
    is_cosigned,
    latest_checkpoint,
    logs_to_cosign,
)
from smart_audit.audit.witnesses.client import OtherSize, Rejected, Unreachable, WitnessClient
from smart_audit.tlog.note import NoteSignature

log = structlog.get_logger()

LOGS_AT_ONCE = 4
FIRST_PAUSE_S = 1
LONGEST_PAUSE_S = 60
# A log that the witness refuses waits longer: there may be many of them, and somebody has to act.
LONGEST_LOG_PAUSE_S = 600

EVENTS = tuple(
    f"witness.{name}" for name in ("unreachable", "failed", "ahead", "refused", "log_damaged")
)
COSIGNED = Gauge(
    "smart_audit_witness_cosigned_timestamp_seconds",
    "When a witness had last cosigned all that this process asked it for; 0 if never.",
    ["witness"],
)
FAILURES = Counter(
    "smart_audit_witness_failures",
    "Times that a witness gave no cosignature, by the event that the log tells it by.",
    ["witness", "event"],
)


class Ahead(Exception):
    """The witness has cosigned more entries than the log has."""

    def __init__(self, seen: int, size: int) -> None:
        super().__init__(
            f"it has cosigned {seen} entries of a log that now has {size}: "
            "the database may have been set back"
        )
        self.seen = seen


@dataclass(slots=True)
class _Standing:
    """What a log and the witness know of each other.

    size: what the witness cosigned last, as far as is known. not_before: monotonic seconds.
    """

    size: int = 0
    failures: int = 0
    not_before: float = 0
    trouble: str | None = None

    def wait(self, longest_s: float) -> None:
        """Leave the log alone for a while, longer each time."""
        self.failures += 1
        self.not_before = time.monotonic() + _pause(self.failures, longest_s)

    def forgive(self) -> None:
        """All is well again."""
        self.failures, self.not_before, self.trouble = 0, 0, None


class Worker:
    """Asks one witness; what goes wrong is logged once, and tried again after growing pauses."""

    def __init__(self, client: WitnessClient, database: Database, deps: Checkpointing) -> None:
        self._client = client
        self._database = database
        self._deps = deps
        self._woken = asyncio.Event()
        self._standings: defaultdict[OrganisationId, _Standing] = defaultdict(_Standing)
        self._failures = 0
        self._log = log.bind(witness=client.verifier.name)
        self._cosigned = COSIGNED.labels(client.verifier.name)
        for event in EVENTS:
            FAILURES.labels(client.verifier.name, event)

    def wake(self) -> None:
        """Look for new checkpoints."""
        self._woken.set()

    async def run(self) -> None:
        """Ask again and again, until it is cancelled."""
        while True:
            self._woken.clear()
            try:
                await self._ask_for_all()
            except* Unreachable as errors:
                self._tell_failure("witness.unreachable", str(errors.exceptions[0]))
            except* Exception as errors:  # noqa: BLE001  (whatever it is, the next round tries again)
                self._tell_failure("witness.failed", type(errors.exceptions[0]).__name__)
            else:
                if not any(standing.trouble for standing in self._standings.values()):
                    self._cosigned.set_to_current_time()
            if self._failures:
                await asyncio.sleep(_pause(self._failures, LONGEST_PAUSE_S))
            else:
                await self._woken.wait()

    async def _ask_for_all(self) -> None:
        now = time.monotonic()
        organisations = await logs_to_cosign(self._client.verifier, self._database)
        due = [each for each in organisations if self._standings[each].not_before <= now]
        # Other processes ask as well: in another order, so that each does a part.
        random.shuffle(due)
        waiting = iter(due)
        async with asyncio.TaskGroup() as group:
            for _ in range(LOGS_AT_ONCE):
                group.create_task(self._ask_in_turn(waiting))

    async def _ask_in_turn(self, waiting: Iterator[OrganisationId]) -> None:
        for organisation_id in waiting:
            await self._ask(organisation_id, self._standings[organisation_id])

    async def _ask(self, organisation_id: OrganisationId, standing: _Standing) -> None:
        """Raises: Unreachable."""
        try:
            await self._have_cosigned(organisation_id, standing)
        except Unreachable:
            # Others come first in the next round: it may be this log alone that gets no answer.
            standing.wait(LONGEST_PAUSE_S)
            raise
        except Ahead as error:
            newest = await latest_checkpoint(organisation_id, self._database)
            # Another process may have had a newer state cosigned meanwhile.
            if newest.size < error.seen:
                self._tell_trouble(organisation_id, standing, "witness.ahead", str(error))
        except Rejected as error:
            self._tell_trouble(organisation_id, standing, "witness.refused", str(error))
        except (LogDamaged, ValueError) as error:
            self._tell_trouble(organisation_id, standing, "witness.log_damaged", str(error))
        else:
            if standing.trouble:
                self._log.info("witness.cosigns_again", organisation_id=str(organisation_id))
            standing.forgive()
        self._tell_reached()

    async def _have_cosigned(self, organisation_id: OrganisationId, standing: _Standing) -> None:
        """Raises: Ahead, Rejected, Unreachable, LogDamaged."""
        verifier = self._client.verifier
        checkpoint = await latest_checkpoint(organisation_id, self._database)
        if not is_cosigned(checkpoint, verifier.name, verifier.key_id):
            signature = await self._cosignature(checkpoint, standing)
            await add_cosignature(checkpoint, signature, self._database, self._deps)
        standing.size = checkpoint.size

    async def _cosignature(
        self, checkpoint: StoredCheckpoint, standing: _Standing
    ) -> NoteSignature:
        """Raises: Ahead, Rejected, Unreachable, LogDamaged."""
        try:
            return await self._cosign(checkpoint, standing.size)
        except OtherSize as other:
            standing.size = other.size
        try:
            return await self._cosign(checkpoint, standing.size)
        except OtherSize as other:
            raise Rejected(
                f"asked from {standing.size} entries on as it wished, {other}"
            ) from other

    async def _cosign(self, checkpoint: StoredCheckpoint, old_size: int) -> NoteSignature:
        """Raises: OtherSize, Ahead, Rejected, Unreachable, LogDamaged."""
        if old_size > checkpoint.size:
            raise Ahead(old_size, checkpoint.size)
        request = await ask_for_extension(checkpoint, old_size, self._database)
        return await self._client.cosign(request)

    def _tell_trouble(
        self, organisation_id: OrganisationId, standing: _Standing, event: str, reason: str
    ) -> None:
        # What it said of its last state need not have been true.
        standing.size = 0
        standing.wait(LONGEST_LOG_PAUSE_S)
        FAILURES.labels(self._client.verifier.name, event).inc()
        if standing.trouble != event:
            standing.trouble = event
            self._log.warning(event, organisation_id=str(organisation_id), reason=reason)

    def _tell_failure(self, event: str, reason: str) -> None:
        FAILURES.labels(self._client.verifier.name, event).inc()
        if not self._failures:
            self._log.warning(event, reason=reason)
        self._failures += 1

    def _tell_reached(self) -> None:
        if self._failures:
            self._log.info("witness.reachable")
        self._failures = 0


def _pause(failures: int, longest_s: float) -> float:
    """Seconds to wait after so many failures; chance keeps many from coming back at once."""
    grown: float = min(FIRST_PAUSE_S * 2 ** min(failures - 1, 20), longest_s)
    return grown * random.uniform(0.5, 1)  # noqa: S311
