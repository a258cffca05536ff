"""Requests to begin with, for the operations that people try first; by the method's full name."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_ADA: Json = {"email": "ada@example.com", "password": "correct horse battery staple"}
_EVENT: Json = {
    "action": "document.delete",
    "actor": {"id": "u_1", "type": "user", "name": "Ada Lovelace"},
    "targets": [{"id": "d_1", "type": "document", "name": "Plans"}],
    "outcome": "OUTCOME_SUCCESS",
    "source": "editor",
    "metadata": {"reason": "retention"},
}
_AUTH = "smart_audit.api.auth.v1"
_AUDIT = "smart_audit.api.audit.v1"

EXAMPLES: Mapping[str, Json] = {
    f"{_AUTH}.AuthService.Signup": {**_ADA, "first_name": "Ada", "last_name": "Lovelace"},
    f"{_AUTH}.AuthService.Login": _ADA,
    f"{_AUDIT}.EventService.RecordEvent": _EVENT,
    f"{_AUDIT}.EventService.RecordEvents": {"events": [_EVENT]},
    f"{_AUDIT}.SearchService.SearchEvents": {"query": "who deleted documents last week"},
    f"{_AUDIT}.AnalyticsService.AggregateEvents": {
        "filter": "outcome=SUCCESS",
        "group_by": ["action"],
        "bucket": "TIME_BUCKET_DAY",
    },
}
