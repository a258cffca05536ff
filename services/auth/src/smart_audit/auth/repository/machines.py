"""Service accounts and API keys in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import OrganisationId
from smart_audit.auth.errors import ServiceAccountNameTaken
from smart_audit.auth.machines import (
    ApiKey,
    ApiKeyId,
    Machine,
    ServiceAccount,
    ServiceAccountId,
)
from smart_audit.auth.tables import api_keys, service_accounts

NAME_KEY = "service_accounts_name_key"

ACCOUNT = (
    service_accounts.c.id,
    service_accounts.c.organisation_id,
    service_accounts.c.name,
    service_accounts.c.scopes,
    service_accounts.c.created_at,
    service_accounts.c.disabled_at,
)
KEY = (
    api_keys.c.id,
    api_keys.c.organisation_id,
    api_keys.c.service_account_id,
    api_keys.c.name,
    api_keys.c.prefix,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.last_used_at,
    api_keys.c.revoked_at,
)

# The statements of an exchange, made once: making them anew costs as much as running them.
FIND = (
    select(*KEY, *ACCOUNT)
    .join(service_accounts, service_accounts.c.id == api_keys.c.service_account_id)
    .where(api_keys.c.key_hash == bindparam("key_hash"))
    .with_for_update(read=True)
)
USED = (
    update(api_keys)
    .where(
        api_keys.c.key_hash == bindparam("hash"),
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > bindparam("at")),
        or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= bindparam("since")),
    )
    .values(last_used_at=bindparam("at"))
)


class ServiceAccounts:
    """Service accounts."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, account: ServiceAccount) -> None:
        """Add a service account. Raises: ServiceAccountNameTaken."""
        await self._write(
            insert(service_accounts).values(
                id=account.id,
                organisation_id=account.organisation_id,
                name=account.name,
                scopes=list(account.scopes),
                created_at=account.created_at,
            ),
            account.name,
        )

    async def get(
        self,
        account_id: ServiceAccountId,
        organisation_id: OrganisationId,
        *,
        lock: bool = False,
    ) -> ServiceAccount | None:
        """An organisation's service account; locked until the end of the transaction if asked."""
        statement = select(*ACCOUNT).where(
            service_accounts.c.id == account_id,
            service_accounts.c.organisation_id == organisation_id,
        )
        if lock:
            statement = statement.with_for_update()
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _to_account(row)

    async def list(
        self, organisation_id: OrganisationId, after: ServiceAccountId | None, limit: int
    ) -> list[ServiceAccount]:
        """An organisation's service accounts, the oldest first, those behind `after`."""
        statement = (
            select(*ACCOUNT)
            .where(service_accounts.c.organisation_id == organisation_id)
            .order_by(service_accounts.c.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(service_accounts.c.id > after)
        return [_to_account(row) for row in await self._connection.execute(statement)]

    async def save(self, account: ServiceAccount) -> None:
        """Save what has changed. Raises: ServiceAccountNameTaken."""
        await self._write(
            update(service_accounts)
            .where(service_accounts.c.id == account.id)
            .values(
                name=account.name,
                scopes=list(account.scopes),
                disabled_at=account.disabled_at,
            ),
            account.name,
        )

    async def _write(self, statement: Any, name: str) -> None:
        try:
            await self._connection.execute(statement)
        except IntegrityError as error:
            if getattr(error.orig, "diag", None) and error.orig.diag.constraint_name == NAME_KEY:  # type: ignore[union-attr]
                raise ServiceAccountNameTaken(
                    f"a service account with the name {name!r} exists; choose another", name=name
                ) from error
            raise


class ApiKeys:
    """API keys."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, key: ApiKey, key_hash: bytes) -> None:
        """Add a key."""
        await self._connection.execute(
            insert(api_keys).values(
                id=key.id,
                organisation_id=key.organisation_id,
                service_account_id=key.service_account_id,
                name=key.name,
                prefix=key.prefix,
                key_hash=key_hash,
                created_at=key.created_at,
                expires_at=key.expires_at,
            )
        )

    async def get(self, key_id: ApiKeyId, account_id: ServiceAccountId) -> ApiKey | None:
        """A service account's key, locked until the end of the transaction."""
        statement = (
            select(*KEY)
            .where(api_keys.c.id == key_id, api_keys.c.service_account_id == account_id)
            .with_for_update()
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else ApiKey(*row)

    async def list(
        self, account_id: ServiceAccountId, after: ApiKeyId | None, limit: int
    ) -> list[ApiKey]:
        """A service account's keys, the oldest first, those behind `after`."""
        statement = (
            select(*KEY)
            .where(api_keys.c.service_account_id == account_id)
            .order_by(api_keys.c.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(api_keys.c.id > after)
        return [ApiKey(*row) for row in await self._connection.execute(statement)]

    async def find(self, key_hash: bytes) -> Machine | None:
        """A key by its hash, with its account.

        Both are locked against changes until the end of the transaction: else a token could be
        issued by what was so a moment ago, after the revocation that is to end it.
        """
        row = (await self._connection.execute(FIND, {"key_hash": key_hash})).one_or_none()
        if row is None:
            return None
        return Machine(ApiKey(*row[: len(KEY)]), _to_account(row[len(KEY) :]))

    async def used(self, key_hash: bytes, at: datetime, since: datetime) -> None:
        """Note that a key is used at `at`, unless it was noted after `since` already."""
        await self._connection.execute(USED, {"hash": key_hash, "at": at, "since": since})

    async def save(self, key: ApiKey) -> None:
        """Save the end of a key."""
        await self._connection.execute(
            update(api_keys)
            .where(api_keys.c.id == key.id)
            .values(expires_at=key.expires_at, revoked_at=key.revoked_at)
        )


def _to_account(row: Sequence[Any]) -> ServiceAccount:
    id_, organisation_id, name, scopes, created_at, disabled_at = row
    return ServiceAccount(id_, organisation_id, name, tuple(scopes), created_at, disabled_at)
