"""Saved searches as rows. Their changes are effects of an append (see `governance.py`)."""

from typing import Any
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.errors import UniqueViolation
from sqlalchemy import Row, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.append import Effect
from smart_audit.audit.domain import OrganisationId, Subject
from smart_audit.audit.errors import SavedSearchNameTaken
from smart_audit.audit.repository.governance import Unneeded
from smart_audit.audit.saved_searches import SavedSearch, Search, SearchId
from smart_audit.audit.tables import saved_searches

KEEP = """
INSERT INTO audit.saved_searches (organisation_id, search_id, owner_type, owner_id, shared, name,
    query, filter, order_by, group_by, created_at, updated_at)
VALUES (%(organisation_id)s, %(search_id)s, %(owner_type)s, %(owner_id)s, %(shared)s, %(name)s,
    %(query)s, %(filter)s, %(order_by)s, %(group_by)s, %(created_at)s, %(updated_at)s)
ON CONFLICT (organisation_id, search_id) DO UPDATE SET shared = excluded.shared,
    name = excluded.name, query = excluded.query, filter = excluded.filter,
    order_by = excluded.order_by, group_by = excluded.group_by, updated_at = excluded.updated_at
"""

DELETE = "DELETE FROM audit.saved_searches WHERE organisation_id = %s AND search_id = %s"

DELETE_PRIVATE = """
DELETE FROM audit.saved_searches
WHERE organisation_id = %(organisation_id)s AND owner_type = %(type)s AND owner_id = %(id)s
    AND NOT shared
"""

DISOWN = """
UPDATE audit.saved_searches SET owner_type = NULL, owner_id = NULL
WHERE organisation_id = %(organisation_id)s AND owner_type = %(type)s AND owner_id = %(id)s
"""


def keeping(organisation_id: OrganisationId, saved: SavedSearch) -> Effect:
    """Add a search, or put it in place of what it was. Raises, once run: SavedSearchNameTaken."""
    search, owner = saved.search, saved.owner
    columns = {
        "organisation_id": organisation_id,
        "search_id": saved.id,
        "owner_type": None if owner is None else owner.type,
        "owner_id": None if owner is None else owner.id,
        "shared": search.shared,
        "name": search.name,
        "query": search.query,
        "filter": search.filter,
        "order_by": search.order_by,
        "group_by": search.group_by,
        "created_at": saved.created_at,
        "updated_at": saved.updated_at,
    }

    async def effect(cursor: AsyncCursor[Any]) -> None:
        try:
            await cursor.execute(KEEP, columns)
        except UniqueViolation as error:
            raise SavedSearchNameTaken(
                "search.name is taken by another saved search; choose another name",
                name=search.name,
            ) from error

    return effect


def deleting(organisation_id: OrganisationId, search_id: SearchId) -> Effect:
    """Delete a search. Raises, once run: Unneeded."""

    async def effect(cursor: AsyncCursor[Any]) -> None:
        await cursor.execute(DELETE, [organisation_id, search_id])
        if cursor.rowcount == 0:
            raise Unneeded

    return effect


def forgetting_owner(organisation_id: OrganisationId, owner: Subject) -> Effect:
    """Delete the private searches of a person who is erased; shared ones lose their owner."""
    columns = {"organisation_id": organisation_id, "type": owner.type, "id": owner.id}

    async def effect(cursor: AsyncCursor[Any]) -> None:
        await cursor.execute(DELETE_PRIVATE, columns)
        await cursor.execute(DISOWN, columns)

    return effect


class SavedSearchReader:
    """Reads the saved searches of one organisation in one transaction."""

    def __init__(self, connection: AsyncConnection, organisation_id: OrganisationId) -> None:
        self._connection = connection
        self._organisation_id = organisation_id

    async def get(self, search_id: SearchId) -> SavedSearch | None:
        """One search, whoever may see it."""
        statement = select(saved_searches).where(
            self._here, saved_searches.c.search_id == search_id
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _saved(row)

    async def page(
        self, who: Subject, after: tuple[str, SearchId] | None, limit: int
    ) -> list[SavedSearch]:
        """The next searches that somebody may see, in order of (name, id)."""
        name = saved_searches.c.name.collate("C")
        statement = (
            select(saved_searches)
            .where(self._here, or_(saved_searches.c.shared, self._of(who)))
            .order_by(name, saved_searches.c.search_id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(tuple_(name, saved_searches.c.search_id) > after)
        return [_saved(row) for row in await self._connection.execute(statement)]

    async def count_own(self, who: Subject) -> int:
        """How many searches somebody has."""
        return await self._count(self._of(who))

    async def count_shared(self) -> int:
        """How many searches are shared."""
        return await self._count(saved_searches.c.shared)

    async def _count(self, condition: Any) -> int:
        statement = select(func.count()).select_from(saved_searches).where(self._here, condition)
        count: int = (await self._connection.execute(statement)).scalar_one()
        return count

    @property
    def _here(self) -> Any:
        return saved_searches.c.organisation_id == self._organisation_id

    def _of(self, who: Subject) -> Any:
        return and_(saved_searches.c.owner_type == who.type, saved_searches.c.owner_id == who.id)


def _saved(row: Row[Any]) -> SavedSearch:
    search = Search(row.name, row.query, row.filter, row.order_by, row.group_by, row.shared)
    owner = None if row.owner_id is None else Subject(row.owner_type, row.owner_id)
    search_id: UUID = row.search_id
    return SavedSearch(SearchId(search_id), search, owner, row.created_at, row.updated_at)
