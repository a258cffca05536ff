"""AnalyticsService: from the wire to a use case and back."""

from typing import Any

from smart_audit.api.audit.v1 import analytics_pb2, analytics_pb2_grpc
from smart_audit.audit.filters import parse_filter
from smart_audit.audit.messages.analytics import from_answer, to_narrowing, to_query
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import organisation
from smart_audit.audit.use_cases.aggregate_events import aggregate_events
from smart_audit.core.rpc.context import reading


class AnalyticsServicer(analytics_pb2_grpc.AnalyticsServiceServicer):
    """Counts events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def AggregateEvents(
        self, request: analytics_pb2.AggregateEventsRequest, context: Any
    ) -> Any:
        """Count the events that a filter matches."""
        query, expression = to_query(request), parse_filter(request.filter)
        answer = await aggregate_events(query, expression, organisation(), self._database)
        reading(to_narrowing(request), results=answer.total)
        return from_answer(answer, query)
