"""How a command ends when it does not succeed: an exit code, and one sentence on stderr."""

from enum import IntEnum

from smart_audit.client.config_error import ConfigError, CredentialsMalformed


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


def explained(error: Exception) -> Failure | None:
    """The failure that an exception means to a person; None when it is a defect of ours."""
    match error:
        case Failure():
            return error
        case CredentialsMalformed():
            return Failure(str(error), ExitCode.AUTH)
        case ConfigError():
            return Failure(str(error), ExitCode.USAGE)
        case TimeoutError():
            return Failure(str(error) or "the service has fallen silent; try again")
        case OSError():
            name = f"{error.filename}: " if error.filename else ""
            return Failure(f"{name}{error.strerror or error}")
    # What else can fail has imported gRPC; what cannot shall not wait for it.
    from smart_audit.cli.refusals import refused  # noqa: PLC0415

    return refused(error)
