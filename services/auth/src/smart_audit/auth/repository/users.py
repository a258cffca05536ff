"""Users in the database."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import CanonicalEmail, Membership, User, UserId, canonical
from smart_audit.auth.errors import EmailTaken
from smart_audit.auth.repository.organisations import ORGANISATION, to_membership
from smart_audit.auth.tables import memberships, organisations, users

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


# The first statement of a login, made once: making one anew takes as long as sending it.
FIND_WITH_HOME = (
    select(*USER, *ORGANISATION, memberships.c.role)
    .outerjoin(memberships, memberships.c.user_id == users.c.id)
    .outerjoin(organisations, organisations.c.id == memberships.c.organisation_id)
    .where(users.c.email_canonical == bindparam("email"))
    .order_by(memberships.c.created_at)
    .limit(1)
)


class Users:
    """People who can log in."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

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
                email_verified_at=user.email_verified_at,
            )
            .on_conflict_do_nothing(constraint="users_email_canonical_key")
            .returning(users.c.id)
        )
        return (await self._connection.execute(statement)).one_or_none() is not None

    async def find(self, email: CanonicalEmail) -> User | None:
        """The user with this address."""
        statement = select(*USER).where(users.c.email_canonical == email)
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else User(*row)

    async def find_with_home(self, email: CanonicalEmail) -> tuple[User | None, Membership | None]:
        """The user with this address, and the organisation joined first: the personal one.

        It is one statement, whether there is such a user or not.
        """
        row = (await self._connection.execute(FIND_WITH_HOME, {"email": email})).one_or_none()
        if row is None:
            return None, None
        home = row[len(USER) :]
        return User(*row[: len(USER)]), to_membership(home) if home[-1] is not None else None

    async def get(self, user_id: UUID, *, lock: bool = False) -> User | None:
        """A user; locked until the end of the transaction if asked."""
        statement = select(*USER).where(users.c.id == user_id)
        if lock:
            statement = statement.with_for_update()
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else User(*row)

    async def set_password_hash(self, user: User, password_hash: str) -> None:
        """Replace a hash by a stronger one of the same password, unless it was replaced already."""
        await self._connection.execute(
            update(users)
            .where(users.c.id == user.id, users.c.password_hash == user.password_hash)
            .values(password_hash=password_hash)
        )

    async def password_stands(self, user: User) -> bool:
        """Whether a user's password is still the one that it was when the user was read."""
        statement = select(users.c.id).where(
            users.c.id == user.id, users.c.password_hash == user.password_hash
        )
        return (await self._connection.execute(statement)).one_or_none() is not None

    async def set_password(self, user_id: UserId, password_hash: str, at: datetime) -> None:
        """Save a new password; nobody is asked to choose another any more."""
        await self._connection.execute(
            update(users)
            .where(users.c.id == user_id)
            .values(
                password_hash=password_hash, password_changed_at=at, password_reset_required=False
            )
        )

    async def set_email(self, user_id: UserId, email: str, at: datetime) -> None:
        """Save an address that was confirmed. Raises: EmailTaken when somebody else has it."""
        try:
            await self._connection.execute(
                update(users)
                .where(users.c.id == user_id)
                .values(email=email, email_canonical=canonical(email), email_verified_at=at)
            )
        except IntegrityError as error:
            raise EmailTaken("somebody else has this e-mail address now") from error

    async def verify_email(self, user_id: UserId, at: datetime) -> None:
        """Note that the address reaches the user; the first time counts."""
        await self._connection.execute(
            update(users)
            .where(users.c.id == user_id)
            .values(email_verified_at=func.coalesce(users.c.email_verified_at, at))
        )

    async def set_names(self, user_id: UserId, first_name: str, last_name: str) -> None:
        """Save the names."""
        await self._connection.execute(
            update(users)
            .where(users.c.id == user_id)
            .values(first_name=first_name, last_name=last_name)
        )

    async def delete(self, user_id: UserId) -> None:
        """Delete a user with all that is the user's: memberships, sessions, factors, challenges."""
        await self._connection.execute(delete(users).where(users.c.id == user_id))
