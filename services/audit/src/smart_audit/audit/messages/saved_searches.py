"""Saved searches, between protobuf and the domain."""

from uuid import UUID

from smart_audit.api.audit.v1 import saved_searches_pb2
from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.messages.pages import bad_page_token, to_name, to_name_token
from smart_audit.audit.messages.times import timestamp
from smart_audit.audit.saved_searches import SavedSearch, Search, SearchId


def to_search(message: saved_searches_pb2.SavedSearch) -> Search:
    """What to save."""
    return Search(
        message.name,
        message.query,
        message.filter,
        message.order_by,
        message.group_by,
        message.shared,
    )


def from_saved(saved: SavedSearch) -> saved_searches_pb2.SavedSearch:
    """A saved search."""
    search = saved.search
    return saved_searches_pb2.SavedSearch(
        id=str(saved.id),
        name=search.name,
        query=search.query,
        filter=search.filter,
        order_by=search.order_by,
        group_by=search.group_by,
        shared=search.shared,
        owner_id="" if saved.owner is None else saved.owner.id,
        created_at=timestamp(saved.created_at),
        updated_at=timestamp(saved.updated_at),
    )


def to_place(
    request: saved_searches_pb2.ListSavedSearchesRequest, organisation_id: OrganisationId
) -> tuple[str, SearchId] | None:
    """Where a page begins. Raises: PageTokenInvalid."""
    names = to_name(request, 2, organisation_id)
    if names is None:
        return None
    try:
        return names[0], SearchId(UUID(names[1]))
    except ValueError as error:
        raise bad_page_token() from error


def to_place_token(
    last: SavedSearch | None,
    request: saved_searches_pb2.ListSavedSearchesRequest,
    organisation_id: OrganisationId,
) -> str:
    """The token of the next page; empty on the last."""
    names = None if last is None else [last.search.name, str(last.id)]
    return to_name_token(names, request, organisation_id)
