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


class LinkInvalid(NotFound):
    """The token of a link is none of ours, was used, or has expired."""

    reason = "LINK_INVALID"


class CodeInvalid(Unauthenticated):
    """The code that was sent by mail is wrong, was used, or has expired."""

    reason = "CODE_INVALID"


class TooManyMails(ResourceExhausted):
    """The account has been sent as many mails of this kind as an hour allows."""

    reason = "TOO_MANY_MAILS"


class EmailUnverified(FailedPrecondition):
    """This needs an e-mail address that was confirmed."""

    reason = "EMAIL_UNVERIFIED"


class LastOwner(FailedPrecondition):
    """The organisation would be left without an owner."""

    reason = "LAST_OWNER"


class ConfirmationWrong(FailedPrecondition):
    """What confirms an act that cannot be undone is not right."""

    reason = "CONFIRMATION_WRONG"
