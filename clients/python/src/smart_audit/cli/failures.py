"""How a command ends when it does not succeed: an exit code, and one sentence on stderr."""

from enum import IntEnum
from typing import Final

import grpc

from smart_audit.client.errors import CallError
from smart_audit.client.verification import VerificationError


class ExitCode(IntEnum):
    """What scripts can tell apart."""

    GENERIC = 1
    USAGE = 2
    NOT_FOUND = 3
    AUTH = 4
    INVALID = 5
    VERIFICATION_FAILED = 6
    INTERRUPTED = 130


class Failure(Exception):
    """The command ends with this sentence and this exit code."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.GENERIC) -> None:
        super().__init__(sentence)
        self.code = code


_BY_STATUS: Final = {
    grpc.StatusCode.UNAUTHENTICATED: ExitCode.AUTH,
    grpc.StatusCode.PERMISSION_DENIED: ExitCode.AUTH,
    grpc.StatusCode.NOT_FOUND: ExitCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT: ExitCode.INVALID,
    grpc.StatusCode.ALREADY_EXISTS: ExitCode.INVALID,
    grpc.StatusCode.OUT_OF_RANGE: ExitCode.INVALID,
    grpc.StatusCode.DATA_LOSS: ExitCode.VERIFICATION_FAILED,
}

# Another token would not help against these.
_OWN_REMEDY: Final = ("CREDENTIALS_INVALID", "CLIENT_INVALID")
_LOG_IN_AGAIN: Final = "; get a new token: smart-audit token --email …"


def explained(error: Exception) -> Failure | None:
    """The failure that an exception means to a person; None when it is a defect of ours."""
    match error:
        case Failure():
            return error
        case VerificationError():
            return Failure(f"verification failed: {error}", ExitCode.VERIFICATION_FAILED)
        case CallError():
            return Failure(_sentence(error), _BY_STATUS.get(error.code, ExitCode.GENERIC))
        case OSError():
            name = f"{error.filename}: " if error.filename else ""
            return Failure(f"{name}{error.strerror or error}")
    return None


def _sentence(error: CallError) -> str:
    match error.code:
        case grpc.StatusCode.DATA_LOSS:
            index, event_id = (error.metadata.get(name) for name in ("log_index", "event_id"))
            place = f"log index {index}, event {event_id}: " if index and event_id else ""
            return f"verification failed: {place}{error}"
        case grpc.StatusCode.UNAUTHENTICATED if error.reason not in _OWN_REMEDY:
            return f"{error}{_LOG_IN_AGAIN}"
    return str(error)
