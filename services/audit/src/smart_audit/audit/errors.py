"""The refusals of audit."""

from smart_audit.core.errors import (
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)


class EventNotFound(NotFound):
    """No such event in the caller's log."""

    reason = "EVENT_NOT_FOUND"


class EventExpired(NotFound):
    """Retention has removed the event's content."""

    reason = "EVENT_EXPIRED"


class LeafNotFound(NotFound):
    """No leaf of the caller's log has this hash."""

    reason = "LEAF_NOT_FOUND"


class TileNotFound(NotFound):
    """The log has no such tile, or not yet."""

    reason = "TILE_NOT_FOUND"


class TilePathInvalid(InvalidArgument):
    """The path is not that of a tile or an entry bundle."""

    reason = "TILE_PATH_INVALID"


class LogForbidden(PermissionDenied):
    """The log is open to the members of its organisation only."""

    reason = "LOG_FORBIDDEN"


class CheckpointNotFound(NotFound):
    """No checkpoint has the cosignatures that the policy asks for."""

    reason = "CHECKPOINT_NOT_FOUND"


class FieldUnknown(InvalidArgument):
    """The event has no such field to disclose."""

    reason = "FIELD_UNKNOWN"


class SubjectNotFound(NotFound):
    """The log holds no personal data of this subject."""

    reason = "SUBJECT_NOT_FOUND"


class SubjectHeld(FailedPrecondition):
    """A legal hold forbids the erasure."""

    reason = "SUBJECT_HELD"


class HoldNotFound(NotFound):
    """No such legal hold."""

    reason = "HOLD_NOT_FOUND"


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


class FilterInvalid(InvalidArgument):
    """The filter cannot be read, or asks for what cannot be answered."""

    reason = "FILTER_INVALID"

    def __init__(self, what: str, column: int, **metadata: str) -> None:
        """What is wrong, after the words "the filter", and where, from 1."""
        said = f"{what} (column {column})"
        super().__init__(
            f"the filter {said}", fields={"filter": said}, column=str(column), **metadata
        )


class OrderByInvalid(InvalidArgument):
    """Nothing is listed in this order."""

    reason = "ORDER_BY_INVALID"


class LogRangeInvalid(InvalidArgument):
    """The index or the tree size lies outside the log."""

    reason = "LOG_RANGE_INVALID"


class LogDamaged(DataLoss):
    """A stored entry is not what was recorded."""

    reason = "LOG_DAMAGED"


class AggregationInvalid(InvalidArgument):
    """What is asked for cannot be counted so."""

    reason = "AGGREGATION_INVALID"


class ExportNotFound(NotFound):
    """The caller's organisation has no such export, or not any longer."""

    reason = "EXPORT_NOT_FOUND"


class ExportCursorInvalid(InvalidArgument):
    """The cursor is malformed, or belongs to another export."""

    reason = "EXPORT_CURSOR_INVALID"


class ExportNotReady(FailedPrecondition):
    """The export has no file: it is still being written, has failed, or was cancelled."""

    reason = "EXPORT_NOT_READY"


class ExportExpired(NotFound):
    """The export's file has been destroyed."""

    reason = "EXPORT_EXPIRED"


class ExportLimitReached(ResourceExhausted):
    """The organisation has as many exports, or as many bytes of them, as it may."""

    reason = "EXPORT_LIMIT_REACHED"
    retry_after_s = 60


class ExportFormatUnavailable(FailedPrecondition):
    """The format needs a package that the installation has not."""

    reason = "EXPORT_FORMAT_UNAVAILABLE"


class EventTypeUnknown(InvalidArgument):
    """The registry has no such action, and the policy refuses unknown ones."""

    reason = "EVENT_TYPE_UNKNOWN"


class EventMetadataInvalid(InvalidArgument):
    """The metadata is not what the registered schema says."""

    reason = "EVENT_METADATA_INVALID"


class EventTypeNotFound(NotFound):
    """The registry has no such event type, or no such version of it."""

    reason = "EVENT_TYPE_NOT_FOUND"


class MetadataSchemaInvalid(InvalidArgument):
    """The schema is not valid, or more than is taken."""

    reason = "METADATA_SCHEMA_INVALID"


class EventTypeLimitReached(FailedPrecondition):
    """The registry has as many event types as there may be."""

    reason = "EVENT_TYPE_LIMIT_REACHED"


class SavedSearchNotFound(NotFound):
    """No such saved search that the caller may see."""

    reason = "SAVED_SEARCH_NOT_FOUND"


class SavedSearchNameTaken(AlreadyExists):
    """Another saved search has this name."""

    reason = "SAVED_SEARCH_NAME_TAKEN"


class SavedSearchLimitReached(FailedPrecondition):
    """There are as many saved searches as there may be."""

    reason = "SAVED_SEARCH_LIMIT_REACHED"


class SavedSearchForbidden(PermissionDenied):
    """Only its owner, or who manages the log, may change a shared search."""

    reason = "SAVED_SEARCH_FORBIDDEN"


class CursorInvalid(InvalidArgument):
    """The cursor of a stream is malformed, of another log, or beyond the end of this one."""

    reason = "CURSOR_INVALID"


class TailLimitReached(ResourceExhausted):
    """Too many streams follow a log at the same time."""

    reason = "TAIL_LIMIT_REACHED"


class ServiceStopping(Unavailable):
    """The service stops, and with it the streams."""

    reason = "SERVICE_STOPPING"
