"""Save searches, find them again, share them."""

from contextlib import suppress
from dataclasses import replace

from smart_audit.audit.domain import Actor, NewEvent, OrganisationId, Target
from smart_audit.audit.errors import (
    FilterInvalid,
    SavedSearchForbidden,
    SavedSearchLimitReached,
    SavedSearchNotFound,
)
from smart_audit.audit.filters import parse_filter
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.governance import Unneeded
from smart_audit.audit.repository.saved_searches import SavedSearchReader, deleting, keeping
from smart_audit.audit.saved_searches import (
    CREATED,
    DELETED,
    MAX_OWN,
    MAX_SHARED,
    TARGET,
    UPDATED,
    SavedSearch,
    Search,
    SearchId,
)
from smart_audit.audit.use_cases.own_events import Governing, append_own, own_event


async def create_saved_search(
    organisation_id: OrganisationId, search: Search, by: Actor, database: Database, deps: Governing
) -> SavedSearch:
    """Save a search.

    Raises: FilterInvalid, SavedSearchNameTaken, SavedSearchLimitReached.
    """
    _check(search)
    await _check_room(organisation_id, search, by, database)
    search_id = SearchId(deps.new_id())
    new = _event(organisation_id, CREATED, search_id, search, by, deps)
    at = new.event.occurred_at
    saved = SavedSearch(search_id, search, by.subject, at, at)
    await append_own(new, keeping(organisation_id, saved), database, deps, permanent=False)
    return saved


async def get_saved_search(
    organisation_id: OrganisationId, search_id: SearchId, by: Actor, database: Database
) -> SavedSearch:
    """One search that the caller may see. Raises: SavedSearchNotFound."""
    async with database.transaction(organisation_id) as connection:
        saved = await SavedSearchReader(connection, organisation_id).get(search_id)
    if saved is None or not saved.is_seen_by(by.subject):
        raise SavedSearchNotFound(
            "there is no such saved search that you may see", search_id=str(search_id)
        )
    return saved


async def list_saved_searches(
    organisation_id: OrganisationId,
    after: tuple[str, SearchId] | None,
    limit: int,
    by: Actor,
    database: Database,
) -> tuple[list[SavedSearch], SavedSearch | None]:
    """A page of what the caller may see, by name, and the last of it if there are more."""
    async with database.transaction(organisation_id) as connection:
        reader = SavedSearchReader(connection, organisation_id)
        found = await reader.page(by.subject, after, limit + 1)
    page = found[:limit]
    return page, page[-1] if len(found) > limit else None


async def update_saved_search(
    organisation_id: OrganisationId,
    search_id: SearchId,
    search: Search,
    by: Actor,
    database: Database,
    deps: Governing,
    *,
    manages: bool,
) -> SavedSearch:
    """Put a search in place of a saved one; the same one changes nothing.

    manages: whether the caller manages the log, and so what is shared in it.

    Raises: SavedSearchNotFound, SavedSearchForbidden, FilterInvalid, SavedSearchNameTaken,
    SavedSearchLimitReached.
    """
    _check(search)
    saved = await _changeable(organisation_id, search_id, by, database, manages=manages)
    if saved.search == search:
        return saved
    if not search.shared and saved.owner != by.subject:
        raise _forbidden("only its owner may take a search back for themselves", search_id)
    if search.shared and not saved.search.shared:
        await _check_room(organisation_id, search, by, database)
    new = _event(organisation_id, UPDATED, search_id, search, by, deps)
    changed = replace(saved, search=search, updated_at=new.event.occurred_at)
    await append_own(new, keeping(organisation_id, changed), database, deps, permanent=False)
    return changed


async def delete_saved_search(
    organisation_id: OrganisationId,
    search_id: SearchId,
    by: Actor,
    database: Database,
    deps: Governing,
    *,
    manages: bool,
) -> None:
    """Delete a search. Raises: SavedSearchNotFound, SavedSearchForbidden."""
    saved = await _changeable(organisation_id, search_id, by, database, manages=manages)
    new = _event(organisation_id, DELETED, search_id, saved.search, by, deps)
    with suppress(Unneeded):
        effect = deleting(organisation_id, search_id)
        await append_own(new, effect, database, deps, permanent=False)


def _check(search: Search) -> None:
    """Raises: FilterInvalid."""
    try:
        parse_filter(search.filter)
    except FilterInvalid as error:
        error.fields = {"search.filter": error.fields["filter"]}
        raise


async def _check_room(
    organisation_id: OrganisationId, search: Search, by: Actor, database: Database
) -> None:
    """Raises: SavedSearchLimitReached."""
    async with database.transaction(organisation_id) as connection:
        reader = SavedSearchReader(connection, organisation_id)
        own = await reader.count_own(by.subject)
        shared = await reader.count_shared() if search.shared else 0
    for count, most, what in ((own, MAX_OWN, "a caller"), (shared, MAX_SHARED, "all together")):
        if count >= most:
            raise SavedSearchLimitReached(
                f"there are {most} saved searches already, the most for {what}; delete one first",
                limit=str(most),
            )


async def _changeable(
    organisation_id: OrganisationId,
    search_id: SearchId,
    by: Actor,
    database: Database,
    *,
    manages: bool,
) -> SavedSearch:
    """Raises: SavedSearchNotFound, SavedSearchForbidden."""
    saved = await get_saved_search(organisation_id, search_id, by, database)
    if not saved.is_changed_by(by.subject, manages=manages):
        raise _forbidden("only its owner, or who manages the log, may change it", search_id)
    return saved


def _forbidden(what: str, search_id: SearchId) -> SavedSearchForbidden:
    return SavedSearchForbidden(what, search_id=str(search_id))


def _event(
    organisation_id: OrganisationId,
    action: str,
    search_id: SearchId,
    search: Search,
    by: Actor,
    deps: Governing,
) -> NewEvent:
    """The event that tells of a change; what the search says is sealed."""
    told = own_event(
        organisation_id, action, by, (Target(str(search_id), TARGET, search.name),), deps
    )
    said = {
        "query": search.query,
        "filter": search.filter,
        "order_by": search.order_by,
        "group_by": search.group_by,
        "shared": search.shared,
    }
    metadata = {**told.event.metadata, **{name: value for name, value in said.items() if value}}
    return told._replace(event=told.event._replace(metadata=metadata))
