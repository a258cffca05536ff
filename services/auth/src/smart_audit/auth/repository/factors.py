"""Apps for one-time codes and recovery codes in the database, and all factors of a user."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import UserId
from smart_audit.auth.factors import Factors as FactorsOf
from smart_audit.auth.factors import TotpSecret
from smart_audit.auth.repository.passkeys import PASSKEY, to_passkey
from smart_audit.auth.tables import passkeys, recovery_codes, totp_secrets, users

TOTP = (
    totp_secrets.c.user_id,
    totp_secrets.c.sealed_secret,
    totp_secrets.c.created_at,
    totp_secrets.c.confirmed_at,
)


# Read at each login, and so made once.
FACTORS_OF = (
    select(
        *TOTP,
        select(func.count())
        .where(recovery_codes.c.user_id == bindparam("of_user"), recovery_codes.c.used_at.is_(None))
        .scalar_subquery(),
        *PASSKEY,
    )
    .select_from(users)
    .outerjoin(totp_secrets, totp_secrets.c.user_id == users.c.id)
    .outerjoin(passkeys, passkeys.c.user_id == users.c.id)
    .where(users.c.id == bindparam("of_user"))
    .order_by(passkeys.c.id)
)


class Factors:
    """The second factors of users."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, user_id: UserId) -> FactorsOf:
        """All factors of a user, the oldest passkey first."""
        rows = (await self._connection.execute(FACTORS_OF, {"of_user": user_id})).all()
        totp = TotpSecret(*rows[0][: len(TOTP)]) if rows and rows[0][0] else None
        keys = (row[len(TOTP) + 1 :] for row in rows)
        return FactorsOf(
            totp=totp,
            passkeys=tuple(to_passkey(*key) for key in keys if key[0]),
            recovery_codes_left=rows[0][len(TOTP)] if rows else 0,
        )

    async def put_totp(self, secret: TotpSecret) -> None:
        """Add an app that is to be confirmed, in the place of one that never was."""
        values = {
            "sealed_secret": secret.sealed_secret,
            "created_at": secret.created_at,
            "last_step": 0,
        }
        statement = upsert(totp_secrets).values(user_id=secret.user_id, **values)
        await self._connection.execute(
            statement.on_conflict_do_update(
                constraint="totp_secrets_pkey",
                set_=values,
                where=totp_secrets.c.confirmed_at.is_(None),
            )
        )

    async def confirm_totp(self, user_id: UserId, at: datetime) -> None:
        """Count an app from now on."""
        await self._connection.execute(
            update(totp_secrets).where(totp_secrets.c.user_id == user_id).values(confirmed_at=at)
        )

    async def use_step(self, user_id: UserId, step: int) -> bool:
        """Accept the code of a step; False when that or a later one was accepted before.

        Of several at once one is accepted: each waits for the row and looks at it anew.
        """
        statement = (
            update(totp_secrets)
            .where(totp_secrets.c.user_id == user_id, totp_secrets.c.last_step < step)
            .values(last_step=step)
            .returning(totp_secrets.c.user_id)
        )
        return (await self._connection.execute(statement)).one_or_none() is not None

    async def remove_totp(self, user_id: UserId) -> None:
        """Forget a user's app."""
        await self._connection.execute(
            delete(totp_secrets).where(totp_secrets.c.user_id == user_id)
        )

    async def replace_codes(self, user_id: UserId, hashes: Iterable[bytes], at: datetime) -> None:
        """Give a user new recovery codes, or none, instead of all older ones."""
        await self._connection.execute(
            delete(recovery_codes).where(recovery_codes.c.user_id == user_id)
        )
        if rows := [{"code_hash": one, "user_id": user_id, "created_at": at} for one in hashes]:
            await self._connection.execute(insert(recovery_codes), rows)

    async def use_code(self, user_id: UserId, code_hash: bytes, at: datetime) -> bool:
        """Accept a recovery code; False when it is unknown or was accepted before."""
        statement = (
            update(recovery_codes)
            .where(
                recovery_codes.c.code_hash == code_hash,
                recovery_codes.c.user_id == user_id,
                recovery_codes.c.used_at.is_(None),
            )
            .values(used_at=at)
            .returning(recovery_codes.c.user_id)
        )
        return (await self._connection.execute(statement)).one_or_none() is not None
