"""UserAdminService: between protobuf and the domain."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from smart_audit.api.auth.v1 import admin_pb2
from smart_audit.auth.administration import DEFAULT_IMPERSONATION, Joined, UserFilter
from smart_audit.auth.domain import OrganisationId, User, UserId
from smart_audit.auth.messages.common import BEARER, from_duration, from_time
from smart_audit.auth.messages.factors import from_passkey
from smart_audit.auth.messages.pages import bad_page_token, to_page_token, to_place
from smart_audit.auth.messages.sessions import from_session
from smart_audit.auth.use_cases.administer import Whole
from smart_audit.auth.use_cases.impersonate import Impersonated, Impersonation

MAX_USERS = 200
MAX_EVENTS = 500

DEACTIVATED = {
    admin_pb2.USER_STATE_UNSPECIFIED: None,
    admin_pb2.USER_STATE_ACTIVE: False,
    admin_pb2.USER_STATE_DEACTIVATED: True,
}


def to_filter(request: admin_pb2.ListUsersRequest) -> UserFilter:
    """Which users to list."""
    return UserFilter(request.search.strip(), DEACTIVATED[request.state])


def to_last_user(request: admin_pb2.ListUsersRequest) -> UserId | None:
    """The last user of the page before. Raises: PageTokenInvalid."""
    place = to_place(request.page_token, request)
    try:
        return UserId(UUID(place)) if place else None
    except ValueError as error:
        raise bad_page_token("is not a page token; start again without one") from error


def from_users(
    users: Sequence[User], last: UserId | None, request: admin_pb2.ListUsersRequest
) -> admin_pb2.ListUsersResponse:
    """A page of users."""
    return admin_pb2.ListUsersResponse(
        users=map(from_user, users), next_page_token=to_page_token(str(last or ""), request)
    )


def from_user(user: User) -> admin_pb2.ManagedUser:
    """A user, as an administrator sees one."""
    kept_out = user.deactivated_at
    return admin_pb2.ManagedUser(
        id=str(user.id),
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        state=admin_pb2.USER_STATE_DEACTIVATED if kept_out else admin_pb2.USER_STATE_ACTIVE,
        email_verified=user.email_verified_at is not None,
        password_reset_required=user.password_reset_required,
        created_at=from_time(user.created_at),
        deactivated_at=from_time(kept_out) if kept_out else None,
    )


def from_whole(whole: Whole) -> admin_pb2.GetUserResponse:
    """A user and what belongs to the user."""
    totp = whole.factors.confirmed_totp
    return admin_pb2.GetUserResponse(
        user=from_user(whole.user),
        memberships=map(_from_joined, whole.joined),
        totp_confirmed_at=from_time(totp.confirmed_at) if totp and totp.confirmed_at else None,
        passkeys=map(from_passkey, whole.factors.passkeys),
        recovery_codes_left=whole.factors.recovery_codes_left,
        sessions=[from_session(session, None) for session in whole.sessions],
    )


def to_impersonation(request: admin_pb2.ImpersonateRequest) -> Impersonation:
    """The command of an impersonation."""
    return Impersonation(
        UserId(UUID(request.user_id)),
        request.reason,
        timedelta(minutes=request.minutes) or DEFAULT_IMPERSONATION,
        to_organisation_id(request.organisation_id),
    )


def from_impersonated(impersonated: Impersonated) -> admin_pb2.ImpersonateResponse:
    """The tokens to act with."""
    tokens = impersonated.tokens
    return admin_pb2.ImpersonateResponse(
        access_token=tokens.access_token,
        token_type=BEARER,
        expires_in=from_duration(tokens.expires_in),
        refresh_token=tokens.refresh_token,
        refresh_expires_in=from_duration(tokens.refresh_expires_in),
        session_id=str(impersonated.session.id),
        organisation_id=str(impersonated.session.organisation_id),
    )


def to_organisation_id(given: str) -> OrganisationId | None:
    """An organisation that may be named."""
    return OrganisationId(UUID(given)) if given else None


def _from_joined(joined: Joined) -> admin_pb2.UserMembership:
    organisation = joined.membership.organisation
    return admin_pb2.UserMembership(
        organisation_id=str(organisation.id),
        organisation_name=organisation.name,
        role=joined.membership.role,
        joined_at=from_time(joined.at),
    )
