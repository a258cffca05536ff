"""FilterService: from the wire to a use case and back."""

from typing import Any

from smart_audit.api.audit.v1 import event_types_pb2 as pb
from smart_audit.api.audit.v1 import event_types_pb2_grpc
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import organisation
from smart_audit.audit.use_cases.complete_filter import complete_filter

DEFAULT_LIMIT, MAX_LIMIT = 20, 100


class FilterServicer(event_types_pb2_grpc.FilterServiceServicer):
    """Helps to write filters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def CompleteFilter(self, request: pb.CompleteFilterRequest, context: Any) -> Any:
        """Suggest what may stand at a place of a filter."""
        cursor = request.cursor if request.HasField("cursor") else len(request.filter)
        limit = min(request.limit or DEFAULT_LIMIT, MAX_LIMIT)
        place, found = await complete_filter(
            organisation(), request.filter, cursor, limit, self._database
        )
        return pb.CompleteFilterResponse(
            suggestions=[
                pb.Suggestion(
                    kind=pb.SuggestionKind.ValueType(one.kind.value),
                    text=one.text,
                    label=one.label,
                    description=one.description,
                )
                for one in found
            ],
            start=place.start,
            end=place.end,
        )
