"""Passkeys in the database."""

from dataclasses import replace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import UserId
from smart_audit.auth.factors import Passkey, PasskeyId
from smart_audit.auth.tables import passkeys

PASSKEY = (
    passkeys.c.id,
    passkeys.c.credential_id,
    passkeys.c.user_id,
    passkeys.c.name,
    passkeys.c.public_key,
    passkeys.c.sign_count,
    passkeys.c.transports,
    passkeys.c.backed_up,
    passkeys.c.created_at,
    passkeys.c.last_used_at,
)


class Passkeys:
    """Public keys, by the id that their authenticators gave them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, passkey: Passkey) -> bool:
        """Add a passkey. False when it is registered, for whomever."""
        statement = (
            upsert(passkeys)
            .values(
                id=passkey.id,
                credential_id=passkey.credential_id,
                user_id=passkey.user_id,
                name=passkey.name,
                public_key=passkey.public_key,
                sign_count=passkey.sign_count,
                transports=list(passkey.transports),
                backed_up=passkey.backed_up,
                created_at=passkey.created_at,
            )
            .on_conflict_do_nothing(constraint="passkeys_pkey")
            .returning(passkeys.c.id)
        )
        return (await self._connection.execute(statement)).one_or_none() is not None

    async def find(self, credential_id: bytes) -> Passkey | None:
        """A passkey, locked until the end of the transaction."""
        statement = select(*PASSKEY).where(passkeys.c.credential_id == credential_id)
        row = (await self._connection.execute(statement.with_for_update())).one_or_none()
        return None if row is None else to_passkey(*row)

    async def used(self, passkey: Passkey) -> None:
        """Save what a use has changed."""
        await self._connection.execute(
            update(passkeys)
            .where(passkeys.c.credential_id == passkey.credential_id)
            .values(
                sign_count=passkey.sign_count,
                backed_up=passkey.backed_up,
                last_used_at=passkey.last_used_at,
            )
        )

    async def rename(self, user_id: UserId, passkey_id: PasskeyId, name: str) -> Passkey | None:
        """Rename a passkey of a user; None when the user has no such one."""
        statement = (
            update(passkeys)
            .where(passkeys.c.user_id == user_id, passkeys.c.id == passkey_id)
            .values(name=name)
            .returning(*PASSKEY)
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else to_passkey(*row)

    async def remove(self, user_id: UserId, passkey_id: PasskeyId) -> None:
        """Forget a passkey of a user."""
        await self._connection.execute(
            delete(passkeys).where(passkeys.c.user_id == user_id, passkeys.c.id == passkey_id)
        )


def to_passkey(*row: Any) -> Passkey:
    """A passkey as it was read: the columns of PASSKEY."""
    passkey = Passkey(*row)
    return replace(passkey, transports=tuple(passkey.transports))
