"""Users in the database."""

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from smart_audit.auth.domain import CanonicalEmail, User, UserId, canonical
from smart_audit.auth.tables import users

USER = (
    users.c.id,
    users.c.email,
    users.c.first_name,
    users.c.last_name,
    users.c.password_hash,
    users.c.created_at,
    users.c.email_verified_at,
    users.c.password_reset_required,
    users.c.deactivated_at,
)


class Users:
    """People who can log in."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, user: User) -> bool:
        """Add a user. False when the e-mail address is taken."""
        statement = (
            upsert(users)
            .values(
                id=user.id,
                email=user.email,
                email_canonical=canonical(user.email),
                first_name=user.first_name,
                last_name=user.last_name,
                password_hash=user.password_hash,
                created_at=user.created_at,
            )
            .on_conflict_do_nothing(constraint="users_email_canonical_key")
            .returning(users.c.id)
        )
        return (await self._session.execute(statement)).one_or_none() is not None

    async def find(self, email: CanonicalEmail) -> User | None:
        """The user with this address."""
        statement = select(*USER).where(users.c.email_canonical == email)
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else User(*row)

    async def get(self, user_id: UUID, *, lock: bool = False) -> User | None:
        """A user; locked until the end of the transaction if asked."""
        statement = select(*USER).where(users.c.id == user_id)
        if lock:
            statement = statement.with_for_update()
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else User(*row)

    async def set_password_hash(self, user_id: UserId, password_hash: str) -> None:
        """Replace a hash by a stronger one of the same password."""
        await self._session.execute(
            update(users).where(users.c.id == user_id).values(password_hash=password_hash)
        )
