"""OrganisationService: between protobuf and the domain."""

from collections.abc import Sequence
from uuid import UUID

from smart_audit.api.auth.v1 import organisations_pb2
from smart_audit.auth.domain import Membership, Organisation, OrganisationId, SignInPolicy, UserId
from smart_audit.auth.members import Invitation, InvitationId, Member
from smart_audit.auth.messages.common import BEARER, from_duration, from_time
from smart_audit.auth.messages.pages import to_next
from smart_audit.auth.roles import INSTALLATION_PERMISSIONS, PERMISSIONS
from smart_audit.auth.use_cases.answer_invitation import Shown
from smart_audit.auth.use_cases.common import Tokens
from smart_audit.auth.use_cases.organisations import Changes
from smart_audit.auth.use_cases.switch_organisation import Switch


def to_changes(request: organisations_pb2.UpdateOrganisationRequest) -> Changes:
    """What to change of an organisation."""
    return Changes(
        name=request.name if request.HasField("name") else None,
        sign_in_policy=SignInPolicy(request.sign_in_policy)
        if request.HasField("sign_in_policy")
        else None,
        login_codes=request.login_codes if request.HasField("login_codes") else None,
    )


def to_switch(request: organisations_pb2.SwitchOrganisationRequest) -> Switch:
    """The command of a switch."""
    return Switch(OrganisationId(UUID(request.organisation_id)), request.refresh_token)


def from_details(organisation: Organisation) -> organisations_pb2.OrganisationDetails:
    """An organisation and its policies."""
    return organisations_pb2.OrganisationDetails(
        id=str(organisation.id),
        name=organisation.name,
        sign_in_policy=organisation.sign_in_policy.value,
        login_codes=organisation.login_codes,
    )


def from_memberships(
    page: Sequence[Membership],
    end: OrganisationId | None,
    current: OrganisationId,
    request: organisations_pb2.ListOrganisationsRequest,
) -> organisations_pb2.ListOrganisationsResponse:
    """A page of what the caller is where."""
    return organisations_pb2.ListOrganisationsResponse(
        memberships=[
            organisations_pb2.OrganisationMembership(
                organisation=from_details(one.organisation),
                role=one.role,
                current=one.organisation.id == current,
            )
            for one in page
        ],
        next_page_token=to_next(end, request),
    )


def from_switched(
    tokens: Tokens, organisation_id: str
) -> organisations_pb2.SwitchOrganisationResponse:
    """The answer to a switch."""
    return organisations_pb2.SwitchOrganisationResponse(
        access_token=tokens.access_token,
        token_type=BEARER,
        expires_in=from_duration(tokens.expires_in),
        refresh_token=tokens.refresh_token,
        refresh_expires_in=from_duration(tokens.refresh_expires_in),
        organisation_id=organisation_id,
    )


def from_member(member: Member) -> organisations_pb2.Member:
    """A person in an organisation."""
    return organisations_pb2.Member(
        user_id=str(member.user_id),
        email=member.email,
        first_name=member.first_name,
        last_name=member.last_name,
        role=member.role,
        joined_at=from_time(member.joined_at),
    )


def from_members(
    page: Sequence[Member], end: UserId | None, request: organisations_pb2.ListMembersRequest
) -> organisations_pb2.ListMembersResponse:
    """A page of members."""
    return organisations_pb2.ListMembersResponse(
        members=map(from_member, page), next_page_token=to_next(end, request)
    )


def from_invitation(invitation: Invitation) -> organisations_pb2.Invitation:
    """An open invitation."""
    return organisations_pb2.Invitation(
        id=str(invitation.id),
        email=invitation.email,
        role=invitation.role,
        invited_by=str(invitation.invited_by),
        created_at=from_time(invitation.created_at),
        expires_at=from_time(invitation.expires_at),
    )


def from_invitations(
    page: Sequence[Invitation],
    end: InvitationId | None,
    request: organisations_pb2.ListInvitationsRequest,
) -> organisations_pb2.ListInvitationsResponse:
    """A page of open invitations."""
    return organisations_pb2.ListInvitationsResponse(
        invitations=map(from_invitation, page), next_page_token=to_next(end, request)
    )


def from_shown(shown: Shown) -> organisations_pb2.GetInvitationResponse:
    """What a person is invited to."""
    return organisations_pb2.GetInvitationResponse(
        organisation_name=shown.organisation.name,
        email=shown.invitation.email,
        role=shown.invitation.role,
        expires_at=from_time(shown.invitation.expires_at),
    )


def from_roles() -> organisations_pb2.ListRolesResponse:
    """The one table of roles."""
    return organisations_pb2.ListRolesResponse(
        roles=[
            organisations_pb2.RolePermissions(
                role=role,
                permissions=sorted(permissions),
                installation_permissions=sorted(INSTALLATION_PERMISSIONS[role] - permissions),
            )
            for role, permissions in PERMISSIONS.items()
        ]
    )
