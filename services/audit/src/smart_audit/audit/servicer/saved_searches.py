"""SavedSearchService: from the wire to a use case and back."""

from typing import Any
from uuid import UUID

from smart_audit.api.audit.v1 import saved_searches_pb2 as pb
from smart_audit.api.audit.v1 import saved_searches_pb2_grpc
from smart_audit.audit.messages.pages import to_page_size
from smart_audit.audit.messages.saved_searches import (
    from_saved,
    to_place,
    to_place_token,
    to_search,
)
from smart_audit.audit.repository import Database
from smart_audit.audit.saved_searches import SearchId
from smart_audit.audit.servicer.caller import actor, organisation
from smart_audit.audit.use_cases.own_events import Governing
from smart_audit.audit.use_cases.saved_searches import (
    create_saved_search,
    delete_saved_search,
    get_saved_search,
    list_saved_searches,
    update_saved_search,
)
from smart_audit.core.rpc.context import current_caller

MANAGE = "log.manage"


class SavedSearchServicer(saved_searches_pb2_grpc.SavedSearchServiceServicer):
    """Questions worth asking again."""

    def __init__(self, database: Database, deps: Governing) -> None:
        self._database = database
        self._deps = deps

    async def CreateSavedSearch(self, request: pb.CreateSavedSearchRequest, context: Any) -> Any:
        """Save a search."""
        saved = await create_saved_search(
            organisation(), to_search(request.search), actor(), self._database, self._deps
        )
        return pb.CreateSavedSearchResponse(search=from_saved(saved))

    async def GetSavedSearch(self, request: pb.GetSavedSearchRequest, context: Any) -> Any:
        """Return one saved search."""
        saved = await get_saved_search(
            organisation(), _id(request.search_id), actor(), self._database
        )
        return pb.GetSavedSearchResponse(search=from_saved(saved))

    async def ListSavedSearches(self, request: pb.ListSavedSearchesRequest, context: Any) -> Any:
        """Return a page of saved searches."""
        own = organisation()
        page, last = await list_saved_searches(
            own, to_place(request, own), to_page_size(request), actor(), self._database
        )
        return pb.ListSavedSearchesResponse(
            searches=map(from_saved, page), next_page_token=to_place_token(last, request, own)
        )

    async def UpdateSavedSearch(self, request: pb.UpdateSavedSearchRequest, context: Any) -> Any:
        """Replace a saved search."""
        saved = await update_saved_search(
            organisation(),
            _id(request.search_id),
            to_search(request.search),
            actor(),
            self._database,
            self._deps,
            manages=_manages(),
        )
        return pb.UpdateSavedSearchResponse(search=from_saved(saved))

    async def DeleteSavedSearch(self, request: pb.DeleteSavedSearchRequest, context: Any) -> Any:
        """Delete a saved search."""
        await delete_saved_search(
            organisation(),
            _id(request.search_id),
            actor(),
            self._database,
            self._deps,
            manages=_manages(),
        )
        return pb.DeleteSavedSearchResponse()


def _id(text: str) -> SearchId:
    return SearchId(UUID(text))


def _manages() -> bool:
    return MANAGE in current_caller().scopes
