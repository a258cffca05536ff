"""What the refusal of a call means to a person, and to a script."""

from typing import Final

import grpc

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.client.errors import CallError
from smart_audit.client.verification import VerificationError

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
_LOG_IN_AGAIN: Final = "; log in again: smart-audit login"


def refused(error: Exception) -> Failure | None:
    """The failure that a refusal or a failed verification is; None for anything else."""
    match error:
        case VerificationError():
            return Failure(f"verification failed: {error}", ExitCode.VERIFICATION_FAILED)
        case CallError():
            return Failure(_sentence(error), _BY_STATUS.get(error.code, ExitCode.GENERIC))
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
