"""The refusals of audit."""

from smart_audit.core.errors import (
    AlreadyExists,
    DataLoss,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)


class EventNotFound(NotFound):
    """No such event in the caller's log."""

    reason = "EVENT_NOT_FOUND"


class EventIdConflict(AlreadyExists):
    """An event with this id but other content is in the log."""

    reason = "EVENT_ID_CONFLICT"


class EventTooLarge(InvalidArgument):
    """The event's public facts do not fit into one log entry."""

    reason = "EVENT_TOO_LARGE"


class OrganisationForbidden(PermissionDenied):
    """The caller may record only for the organisation of its token."""

    reason = "ORGANISATION_FORBIDDEN"


class PageTokenInvalid(InvalidArgument):
    """The page token is malformed or belongs to other filters."""

    reason = "PAGE_TOKEN_INVALID"


class LogRangeInvalid(InvalidArgument):
    """The index or the tree size lies outside the log."""

    reason = "LOG_RANGE_INVALID"


class LogDamaged(DataLoss):
    """A stored entry is not what was recorded."""

    reason = "LOG_DAMAGED"
