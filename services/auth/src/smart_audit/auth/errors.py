"""The refusals of auth."""

from smart_audit.core.errors import (
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    ResourceExhausted,
    Unauthenticated,
)


class EmailTaken(AlreadyExists):
    """A user with this e-mail address exists."""

    reason = "EMAIL_TAKEN"


class CredentialsInvalid(Unauthenticated):
    """The e-mail address or the password is wrong."""

    reason = "CREDENTIALS_INVALID"


class RefreshTokenInvalid(Unauthenticated):
    """The refresh token is none of ours."""

    reason = "TOKEN_INVALID"


class RefreshTokenExpired(Unauthenticated):
    """The refresh token is past its lifetime."""

    reason = "TOKEN_EXPIRED"


class RefreshTokenReused(Unauthenticated):
    """The refresh token was used a second time."""

    reason = "TOKEN_REUSED"


class SessionNotFound(NotFound):
    """The caller has no such live session."""

    reason = "SESSION_NOT_FOUND"


class UserNotFound(NotFound):
    """The user behind the token is gone."""

    reason = "USER_NOT_FOUND"


class SecondFactorInvalid(Unauthenticated):
    """The code of the second factor is wrong, or was used before."""

    reason = "SECOND_FACTOR_INVALID"


class SecondFactorMissing(Unauthenticated):
    """The person has a second factor, and it was not sent."""

    reason = "SECOND_FACTOR_MISSING"


class SecondFactorThrottled(ResourceExhausted):
    """Too many wrong codes in a row."""

    reason = "SECOND_FACTOR_THROTTLED"


class ChallengeInvalid(Unauthenticated):
    """The challenge is unknown, has expired, or was answered."""

    reason = "CHALLENGE_INVALID"


class PasskeyInvalid(Unauthenticated):
    """The passkey is unknown, or what it has signed is not valid here."""

    reason = "PASSKEY_INVALID"


class PasskeyCloned(Unauthenticated):
    """The passkey's counter has not grown."""

    reason = "PASSKEY_CLONED"


class FactorNotFound(NotFound):
    """The caller has no such second factor."""

    reason = "FACTOR_NOT_FOUND"


class FactorExists(AlreadyExists):
    """The caller has this second factor already."""

    reason = "FACTOR_EXISTS"


class FactorRequired(FailedPrecondition):
    """It is the last second factor, and an organisation requires one."""

    reason = "FACTOR_REQUIRED"


class PasskeyLimitReached(FailedPrecondition):
    """The caller has as many passkeys as there may be."""

    reason = "PASSKEY_LIMIT_REACHED"
