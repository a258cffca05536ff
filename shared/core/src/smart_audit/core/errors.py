"""Refusals that are safe to show. The mapping to a gRPC status is in `rpc.status`, once."""


class DomainError(Exception):
    """A refusal with a reason of `smart_audit.api.errors.v1.ErrorReason`.

    Keyword arguments become `ErrorInfo.metadata`: every dynamic value of the message, as text.
    """

    reason: str

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidArgument(DomainError):
    """The request is wrong whatever the state of the system is."""

    reason = "INVALID_ARGUMENT"
    field_reason: str = ""
    """What is wrong with the field, for programs; a reason of `ErrorReason` or empty."""

    def __init__(
        self, message: str, *, fields: dict[str, str] | None = None, **metadata: str
    ) -> None:
        super().__init__(message, **metadata)
        self.fields = fields or {}
        """What is wrong, by path of the field."""


class RequestUnreadable(InvalidArgument):
    """The request's bytes are no message of the method."""

    reason = "INVALID_REQUEST"


class Unauthenticated(DomainError):
    """Nobody knows who is calling."""


class PermissionDenied(DomainError):
    """It is known who is calling, and that is not enough."""


class NotFound(DomainError):
    """There is no such thing, or the caller may not know of it."""


class AlreadyExists(DomainError):
    """The thing is there already, and is another one."""


class FailedPrecondition(DomainError):
    """The request is right, and the state of the system forbids it."""


class ResourceExhausted(DomainError):
    """Too much at once."""

    reason = "OVERLOADED"
    retry_after_s: int = 1
    """In how many seconds it may work."""


class ReaderTooSlow(ResourceExhausted):
    """The reader of a stream takes nothing."""

    reason = "READER_TOO_SLOW"


class Unavailable(DomainError):
    """It may work in a moment."""

    reason = "UNAVAILABLE"


class DataLoss(DomainError):
    """What is stored is not what was stored."""
