"""The refusals of auth."""

from smart_audit.core.errors import AlreadyExists, NotFound, Unauthenticated


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
