"""Checkpoints and the keys that sign them, as rows."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import OrganisationId, StoredCheckpoint, StoredCheckpointKey
from smart_audit.audit.tables import checkpoint_keys, checkpoints, logs
from smart_audit.tlog.compact import CompactRange

KEYS_LOCK = 0x5341_0003


class CheckpointStore:
    """The checkpoints of one log, in one transaction."""

    def __init__(self, connection: AsyncConnection, organisation_id: OrganisationId) -> None:
        self._connection = connection
        self._organisation_id = organisation_id

    async def head(self, *, lock: bool = False) -> tuple[CompactRange, int]:
        """The log's state, and how many checkpoints it has."""
        statement = select(logs.c.size, logs.c.compact_range, logs.c.checkpoints).where(
            logs.c.organisation_id == self._organisation_id
        )
        if lock:
            statement = statement.with_for_update()
        row = (await self._connection.execute(statement)).one_or_none()
        if row is None:
            return CompactRange.empty(), 0
        return CompactRange.from_bytes(row.size, row.compact_range), row.checkpoints

    async def keys(self) -> list[StoredCheckpointKey]:
        """All keys, by number."""
        return await stored_keys(self._connection)

    async def get(self, number: int, *, lock: bool = False) -> StoredCheckpoint | None:
        """One checkpoint."""
        statement = self._select().where(checkpoints.c.number == number)
        if lock:
            statement = statement.with_for_update()
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _checkpoint(*row)

    async def of_size(self, size: int) -> StoredCheckpoint | None:
        """The latest that was signed of a log of this size."""
        statement = (
            self._select()
            .where(checkpoints.c.size == size)
            .order_by(checkpoints.c.number.desc())
            .limit(1)
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _checkpoint(*row)

    async def page(
        self, before: int | None, limit: int, *, cosigned: bool = False
    ) -> list[StoredCheckpoint]:
        """The next checkpoints, the latest first, with numbers below `before`.

        cosigned: leave out those without a cosignature.
        """
        statement = self._select().order_by(checkpoints.c.number.desc()).limit(limit)
        if cosigned:
            statement = statement.where(func.cardinality(checkpoints.c.cosignatures) > 0)
        if before is not None:
            statement = statement.where(checkpoints.c.number < before)
        return [_checkpoint(*row) for row in await self._connection.execute(statement)]

    async def add(self, checkpoint: StoredCheckpoint) -> None:
        """Keep a checkpoint; the head must be locked."""
        values = {column.name: getattr(checkpoint, column.name) for column in checkpoints.c}
        values["cosignatures"] = list(checkpoint.cosignatures)
        await self._connection.execute(insert(checkpoints).values(values))
        await self._connection.execute(
            update(logs)
            .where(logs.c.organisation_id == self._organisation_id)
            .values(checkpoints=checkpoint.number + 1)
        )

    async def set_cosignatures(self, checkpoint: StoredCheckpoint) -> None:
        """Keep a checkpoint's cosignatures; its row must be locked."""
        await self._connection.execute(
            update(checkpoints)
            .where(
                checkpoints.c.organisation_id == self._organisation_id,
                checkpoints.c.number == checkpoint.number,
            )
            .values(cosignatures=list(checkpoint.cosignatures), mac=checkpoint.mac)
        )

    def _select(self) -> Select[Any]:
        return select(checkpoints).where(checkpoints.c.organisation_id == self._organisation_id)


async def lock_keys(connection: AsyncConnection) -> list[StoredCheckpointKey]:
    """All keys, by number, while nobody else adds one."""
    await connection.execute(select(func.pg_advisory_xact_lock(KEYS_LOCK)))
    return await stored_keys(connection)


async def stored_keys(connection: AsyncConnection) -> list[StoredCheckpointKey]:
    """All keys, by number."""
    statement = select(checkpoint_keys).order_by(checkpoint_keys.c.number)
    return [StoredCheckpointKey(*row) for row in await connection.execute(statement)]


async def add_key(connection: AsyncConnection, key: StoredCheckpointKey) -> None:
    """Keep a key."""
    values = {column.name: getattr(key, column.name) for column in checkpoint_keys.c}
    await connection.execute(insert(checkpoint_keys).values(values))


async def organisations_to_checkpoint(connection: AsyncConnection) -> Sequence[OrganisationId]:
    """The organisations whose logs have grown since their last checkpoint."""
    return (await connection.scalars(select(func.audit.organisations_to_checkpoint()))).all()


async def organisations_to_cosign(
    connection: AsyncConnection, line_start: str
) -> Sequence[OrganisationId]:
    """The organisations whose latest checkpoint has no cosignature line that begins so."""
    called = func.audit.organisations_to_cosign(line_start)
    return (await connection.scalars(select(called))).all()


def _checkpoint(*row: Any) -> StoredCheckpoint:
    organisation_id, number, size, root, note, signed_at, cosignatures, mac = row
    return StoredCheckpoint(
        organisation_id, number, size, root, note, signed_at, tuple(cosignatures), mac
    )
