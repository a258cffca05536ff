"""SearchService: from the wire to a use case and back."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from smart_audit.api.audit.v1 import search_pb2, search_pb2_grpc
from smart_audit.audit.messages.search import from_answer, to_search
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import organisation
from smart_audit.audit.use_cases.rank_kinds import Kinds
from smart_audit.audit.use_cases.search_events import search_events
from smart_audit.core.rpc.context import reading


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    """Searches events by questions in words."""

    def __init__(self, database: Database, kinds: Kinds, now: Callable[[], datetime]) -> None:
        self._database = database
        self._kinds = kinds
        self._now = now

    async def SearchEvents(self, request: search_pb2.SearchEventsRequest, context: Any) -> Any:
        """Return a page of answers."""
        organisation_id = organisation()
        search = to_search(request, self._now(), organisation_id)
        answer = await search_events(search, organisation_id, self._database, self._kinds)
        asked = {"query": request.query, "filter": request.filter}
        reading(asked, results=len(answer.hits))
        return from_answer(answer, search, request, organisation_id)
