"""OrganisationService: from the wire to a use case and back."""

from typing import Any
from uuid import UUID

from smart_audit.api.auth.v1 import organisations_pb2 as pb2
from smart_audit.api.auth.v1 import organisations_pb2_grpc
from smart_audit.auth.domain import OrganisationId, UserId
from smart_audit.auth.members import InvitationId
from smart_audit.auth.messages import organisations as messages
from smart_audit.auth.messages.pages import to_last, to_size
from smart_audit.auth.servicer.base import Servicer, acting
from smart_audit.auth.use_cases.answer_invitation import (
    accept_invitation,
    decline_invitation,
    show_invitation,
)
from smart_audit.auth.use_cases.invitations import (
    create_invitation,
    list_invitations,
    resend_invitation,
    withdraw_invitation,
)
from smart_audit.auth.use_cases.members import (
    end_member_sessions,
    leave_organisation,
    list_members,
    remove_member,
    transfer_ownership,
    update_member,
)
from smart_audit.auth.use_cases.organisations import (
    create_organisation,
    get_organisation,
    list_organisations,
    update_organisation,
)
from smart_audit.auth.use_cases.switch_organisation import switch_organisation


class OrganisationServicer(Servicer, organisations_pb2_grpc.OrganisationServiceServicer):
    """Organisations, their members, and the way in."""

    async def CreateOrganisation(self, request: pb2.CreateOrganisationRequest, context: Any) -> Any:
        """Create an organisation of which the caller is the owner."""
        created = create_organisation(request.name, acting(), self._work, self._deps)
        return pb2.CreateOrganisationResponse(
            organisation=messages.from_details(await self._done(created))
        )

    async def GetOrganisation(self, request: pb2.GetOrganisationRequest, context: Any) -> Any:
        """Return the token's organisation."""
        organisation = await get_organisation(acting(), self._work)
        return pb2.GetOrganisationResponse(organisation=messages.from_details(organisation))

    async def UpdateOrganisation(self, request: pb2.UpdateOrganisationRequest, context: Any) -> Any:
        """Change the token's organisation."""
        changes = messages.to_changes(request)
        updated = update_organisation(changes, acting(), self._work, self._deps)
        return pb2.UpdateOrganisationResponse(
            organisation=messages.from_details(await self._done(updated))
        )

    async def ListOrganisations(self, request: pb2.ListOrganisationsRequest, context: Any) -> Any:
        """Return a page of the caller's organisations."""
        who, last = acting(), to_last(request)
        after = None if last is None else OrganisationId(last)
        page, end = await list_organisations(after, to_size(request), who, self._work)
        return messages.from_memberships(page, end, who.organisation_id, request)

    async def SwitchOrganisation(self, request: pb2.SwitchOrganisationRequest, context: Any) -> Any:
        """Move the caller's session to another organisation."""
        command = messages.to_switch(request)
        switched = switch_organisation(command, acting(), self._work, self._deps)
        return messages.from_switched(await self._done(switched), str(command.organisation_id))

    async def ListMembers(self, request: pb2.ListMembersRequest, context: Any) -> Any:
        """Return a page of the members."""
        last = to_last(request)
        after = None if last is None else UserId(last)
        page, end = await list_members(after, to_size(request), acting(), self._work)
        return messages.from_members(page, end, request)

    async def UpdateMember(self, request: pb2.UpdateMemberRequest, context: Any) -> Any:
        """Change a member's role."""
        user_id = UserId(UUID(request.user_id))
        updated = update_member(user_id, request.role, acting(), self._work, self._deps)
        return pb2.UpdateMemberResponse(member=messages.from_member(await self._done(updated)))

    async def RemoveMember(self, request: pb2.RemoveMemberRequest, context: Any) -> Any:
        """Remove a member."""
        user_id = UserId(UUID(request.user_id))
        await self._done(remove_member(user_id, acting(), self._work, self._deps))
        return pb2.RemoveMemberResponse()

    async def LeaveOrganisation(self, request: pb2.LeaveOrganisationRequest, context: Any) -> Any:
        """End the caller's own membership."""
        await self._done(leave_organisation(acting(), self._work, self._deps))
        return pb2.LeaveOrganisationResponse()

    async def TransferOwnership(self, request: pb2.TransferOwnershipRequest, context: Any) -> Any:
        """Make another member the owner in the caller's place."""
        user_id = UserId(UUID(request.user_id))
        owner = await self._done(transfer_ownership(user_id, acting(), self._work, self._deps))
        return pb2.TransferOwnershipResponse(owner=messages.from_member(owner))

    async def EndMemberSessions(self, request: pb2.EndMemberSessionsRequest, context: Any) -> Any:
        """End all sessions of a member in the organisation."""
        user_id = UserId(UUID(request.user_id))
        ended = await self._done(end_member_sessions(user_id, acting(), self._work, self._deps))
        return pb2.EndMemberSessionsResponse(ended=ended)

    async def CreateInvitation(self, request: pb2.CreateInvitationRequest, context: Any) -> Any:
        """Invite a person."""
        invited = create_invitation(request.email, request.role, acting(), self._work, self._deps)
        return pb2.CreateInvitationResponse(
            invitation=messages.from_invitation(await self._done(invited))
        )

    async def ListInvitations(self, request: pb2.ListInvitationsRequest, context: Any) -> Any:
        """Return a page of open invitations."""
        last = to_last(request)
        after = None if last is None else InvitationId(last)
        page, end = await list_invitations(after, to_size(request), acting(), self._work)
        return messages.from_invitations(page, end, request)

    async def WithdrawInvitation(self, request: pb2.WithdrawInvitationRequest, context: Any) -> Any:
        """Make an invitation useless."""
        invitation_id = InvitationId(UUID(request.invitation_id))
        await self._done(withdraw_invitation(invitation_id, acting(), self._work, self._deps))
        return pb2.WithdrawInvitationResponse()

    async def ResendInvitation(self, request: pb2.ResendInvitationRequest, context: Any) -> Any:
        """Send an invitation anew."""
        invitation_id = InvitationId(UUID(request.invitation_id))
        sent = resend_invitation(invitation_id, acting(), self._work, self._deps)
        return pb2.ResendInvitationResponse(
            invitation=messages.from_invitation(await self._done(sent))
        )

    async def GetInvitation(self, request: pb2.GetInvitationRequest, context: Any) -> Any:
        """Show an invitation to whoever has its token."""
        return messages.from_shown(await show_invitation(request.token, self._work, self._deps))

    async def AcceptInvitation(self, request: pb2.AcceptInvitationRequest, context: Any) -> Any:
        """Make the caller a member."""
        accepted = accept_invitation(request.token, acting(), self._work, self._deps)
        invitation = await self._done(accepted)
        return pb2.AcceptInvitationResponse(
            organisation_id=str(invitation.organisation_id), role=invitation.role
        )

    async def DeclineInvitation(self, request: pb2.DeclineInvitationRequest, context: Any) -> Any:
        """Decline an invitation."""
        await self._done(decline_invitation(request.token, acting(), self._work, self._deps))
        return pb2.DeclineInvitationResponse()

    async def ListRoles(self, request: pb2.ListRolesRequest, context: Any) -> Any:
        """Return the roles and what each permits."""
        return messages.from_roles()
