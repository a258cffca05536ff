"""The refusals of auth."""

import math
from datetime import timedelta

from smart_audit.core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
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


class TooManyAttempts(ResourceExhausted):
    """Somebody has tried too often, or others have tried too often in the same place."""

    reason = "TOO_MANY_ATTEMPTS"

    def __init__(self, wait: timedelta, *, is_news: bool) -> None:
        self.retry_after_s = math.ceil(wait.total_seconds())
        self.is_news = is_news
        """Whether this is the first of its kind for a while, which the audit log has to know."""
        super().__init__(
            f"too many attempts; try again in {self.retry_after_s} seconds",
            retry_after_s=str(self.retry_after_s),
        )


class PasswordRefused(InvalidArgument):
    """Nobody may choose this password. The refusal names the field, never the password."""

    def __init__(self, field: str, complaint: str) -> None:
        super().__init__(f"{field} {complaint}", fields={field: complaint})


class PasswordTooShort(PasswordRefused):
    """The password has too few characters."""

    field_reason = "PASSWORD_TOO_SHORT"


class PasswordTooCommon(PasswordRefused):
    """The password is common, known from a breach, or repeats itself."""

    field_reason = "PASSWORD_TOO_COMMON"


class PasswordGuessable(PasswordRefused):
    """The password is made of what is known about its user."""

    field_reason = "PASSWORD_GUESSABLE"


class SecondFactorInvalid(Unauthenticated):
    """The code of the second factor is wrong, or was used before."""

    reason = "SECOND_FACTOR_INVALID"


class SecondFactorMissing(Unauthenticated):
    """The person has a second factor, and it was not sent."""

    reason = "SECOND_FACTOR_MISSING"


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


class LinkInvalid(NotFound):
    """The token of a link is none of ours, was used, or has expired."""

    reason = "LINK_INVALID"


class CodeInvalid(Unauthenticated):
    """The code that was sent by mail is wrong, was used, or has expired."""

    reason = "CODE_INVALID"


class EmailUnverified(FailedPrecondition):
    """This needs an e-mail address that was confirmed."""

    reason = "EMAIL_UNVERIFIED"


class OrganisationNotFound(NotFound):
    """The caller is in no such organisation."""

    reason = "ORGANISATION_NOT_FOUND"


class MemberNotFound(NotFound):
    """The organisation has no such member."""

    reason = "MEMBER_NOT_FOUND"


class MemberExists(AlreadyExists):
    """The user is a member already."""

    reason = "MEMBER_EXISTS"


class OwnerRequired(PermissionDenied):
    """Only an owner may do this to an owner, or make one."""

    reason = "OWNER_REQUIRED"


class LastOwner(FailedPrecondition):
    """The organisation would be left without an owner."""

    reason = "LAST_OWNER"


class ConfirmationWrong(FailedPrecondition):
    """What confirms an act that cannot be undone is not right."""

    reason = "CONFIRMATION_WRONG"


class PageTokenInvalid(InvalidArgument):
    """The page token is not one of ours, or belongs to other filters."""

    reason = "PAGE_TOKEN_INVALID"


class ServiceAccountNotFound(NotFound):
    """The organisation has no such service account."""

    reason = "SERVICE_ACCOUNT_NOT_FOUND"


class ServiceAccountNameTaken(AlreadyExists):
    """The organisation has a service account with this name."""

    reason = "SERVICE_ACCOUNT_NAME_TAKEN"


class ApiKeyNotFound(NotFound):
    """The service account has no such API key."""

    reason = "API_KEY_NOT_FOUND"


class ApiKeyEnded(FailedPrecondition):
    """The API key has been revoked or has expired."""

    reason = "API_KEY_ENDED"


class ScopeForbidden(PermissionDenied):
    """A machine cannot be given what the caller lacks."""

    reason = "SCOPE_FORBIDDEN"


class ClientInvalid(Unauthenticated):
    """The client is unknown, or its API key does not work."""

    reason = "CLIENT_INVALID"


class GrantInvalid(FailedPrecondition):
    """The refresh token cannot be exchanged."""

    reason = "GRANT_INVALID"


class GrantTypeUnsupported(InvalidArgument):
    """The grant type is not offered."""

    reason = "GRANT_TYPE_UNSUPPORTED"


class ScopeInvalid(FailedPrecondition):
    """The service account lacks a scope that was asked for."""

    reason = "SCOPE_INVALID"


class LastAdministrator(FailedPrecondition):
    """Nobody could administer the installation without this user."""

    reason = "LAST_ADMINISTRATOR"


class UserDeactivated(FailedPrecondition):
    """The user is kept out."""

    reason = "USER_DEACTIVATED"


class NotImpersonating(FailedPrecondition):
    """The access token is the user's own."""

    reason = "NOT_IMPERSONATING"


class InvitationNotFound(NotFound):
    """There is no such open invitation."""

    reason = "INVITATION_NOT_FOUND"


class InvitationExists(AlreadyExists):
    """The address has an open invitation."""

    reason = "INVITATION_EXISTS"


class InvitationExpired(FailedPrecondition):
    """It is too late to answer the invitation."""

    reason = "INVITATION_EXPIRED"


class InvitationForAnother(PermissionDenied):
    """The invitation is for another address."""

    reason = "INVITATION_FOR_ANOTHER"


class SecondFactorUnused(FailedPrecondition):
    """Who has logged in without a second factor cannot require one of everybody."""

    reason = "SECOND_FACTOR_UNUSED"
