"""`smart-audit orgs`: organisations, and who is in them."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import typer

from smart_audit.api.auth.v1 import organisations_pb2
from smart_audit.cli.asking import confirm
from smart_audit.cli.calling import Calls, calls
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.messages import row, rows
from smart_audit.cli.options import LimitOption, QuietOption, YesOption
from smart_audit.cli.render import Column, Form, OutputOption, show, show_one, time
from smart_audit.cli.text import tell


class Role(StrEnum):
    """What a member may do."""

    OWNER = "owner"
    ADMIN = "admin"
    AUDITOR = "auditor"
    MEMBER = "member"


MemberArgument = Annotated[str, typer.Argument(metavar="MEMBER", help="Id or address.")]
RoleOption = Annotated[Role, typer.Option(help="What the person may do; see docs/roles.md.")]

_MEMBERSHIPS: Final = [
    Column("organisation.name"),
    Column("role"),
    Column("current"),
    Column("organisation.id"),
]
_ORGANISATION: Final = [
    Column("name"),
    Column("id"),
    Column("sign_in_policy"),
    Column("login_codes"),
]
_MEMBERS: Final = [
    Column("email"),
    Column("first_name", spare=True),
    Column("last_name", spare=True),
    Column("role"),
    Column("joined_at", "since", shown=time, spare=True),
    Column("user_id"),
]
_INVITATIONS: Final = [
    Column("email"),
    Column("role"),
    Column("expires_at", "until", shown=time, spare=True),
    Column("id"),
]


@calls
def list_(to: Calls, *, limit: LimitOption = 50, output: OutputOption = Form.TABLE) -> None:
    """List your organisations, and your role in each.

    Examples:
    smart-audit orgs list
    """
    request = organisations_pb2.ListOrganisationsRequest()
    method = to.services.organisations.ListOrganisations
    show(rows(to.each(method, request, "memberships", limit)), _MEMBERSHIPS, output)


@calls
def get(to: Calls, *, output: OutputOption = Form.TABLE) -> None:
    """Show the organisation that you are in now.

    Examples:
    smart-audit orgs get -o json
    """
    request = organisations_pb2.GetOrganisationRequest()
    answer = to.call(to.services.organisations.GetOrganisation, request)
    show_one(row(answer.organisation), _ORGANISATION, output)


@calls
def create(
    to: Calls,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    output: OutputOption = Form.TABLE,
) -> None:
    """Create an organisation, with a log of its own; you are its owner.

    Examples:
    smart-audit orgs create "Analytical Engines"
    """
    request = organisations_pb2.CreateOrganisationRequest(name=name)
    answer = to.call(to.services.organisations.CreateOrganisation, request)
    show_one(row(answer.organisation), _ORGANISATION, output)


@calls
def switch(
    to: Calls,
    organisation: Annotated[str, typer.Argument(metavar="ORGANISATION", help="Its id or name.")],
    *,
    quiet: QuietOption = False,
) -> None:
    """Be in another organisation from now on: the profile's tokens are for it.

    Examples:
    smart-audit orgs switch "Analytical Engines"
    """
    settings = to.calling.settings
    if settings.kept_in is None or not settings.credentials.refresh_token:
        raise Failure("only a login can be switched: smart-audit login", ExitCode.AUTH)
    request = organisations_pb2.SwitchOrganisationRequest(
        organisation_id=_id_of(to, organisation),
        refresh_token=to.authenticated().refresh_token,
    )
    answer = to.call(to.services.organisations.SwitchOrganisation, request)
    settings.kept_in.keep(
        settings.profile,
        replace(
            settings.credentials,
            access_token=answer.access_token,
            refresh_token=answer.refresh_token,
        ),
    )
    tell(f"profile {settings.profile} is in {organisation}", quiet=quiet)


@calls
def rename(
    to: Calls,
    name: Annotated[str, typer.Argument(help="What it is called from now on.")],
    *,
    quiet: QuietOption = False,
) -> None:
    """Rename the organisation that you are in.

    Examples:
    smart-audit orgs rename "Difference Engines"
    """
    request = organisations_pb2.UpdateOrganisationRequest(name=name)
    to.call(to.services.organisations.UpdateOrganisation, request)
    tell(f"it is called {name} now", quiet=quiet)


@calls
def members(to: Calls, *, limit: LimitOption = 50, output: OutputOption = Form.TABLE) -> None:
    """List the members of the organisation.

    Examples:
    smart-audit orgs members -n 0 -o csv > members.csv
    """
    show(rows(_members(to, limit)), _MEMBERS, output)


@calls
def set_role(to: Calls, member: MemberArgument, role: Annotated[Role, typer.Argument()]) -> None:
    """Give a member another role.

    Examples:
    smart-audit orgs set-role grace@example.com auditor
    """
    request = organisations_pb2.UpdateMemberRequest(user_id=_member(to, member), role=role)
    to.call(to.services.organisations.UpdateMember, request)
    tell(f"{member} is {role} now")


@calls
def remove(
    to: Calls, member: MemberArgument, *, yes: YesOption = False, quiet: QuietOption = False
) -> None:
    """Remove a member: what the person has for the organisation is refused within a second.

    Examples:
    smart-audit orgs remove grace@example.com
    """
    user_id = _member(to, member)
    confirm(f"Remove {member} from the organisation?", yes=yes)
    request = organisations_pb2.RemoveMemberRequest(user_id=user_id)
    to.call(to.services.organisations.RemoveMember, request)
    tell(f"{member} is no member any more", quiet=quiet)


@calls
def invite(
    to: Calls,
    email: Annotated[str, typer.Argument(help="Whom to invite.")],
    *,
    role: RoleOption = Role.MEMBER,
    output: OutputOption = Form.TABLE,
) -> None:
    """Invite somebody by mail.

    Examples:
    smart-audit orgs invite grace@example.com --role auditor
    """
    request = organisations_pb2.CreateInvitationRequest(email=email, role=role)
    answer = to.call(to.services.organisations.CreateInvitation, request)
    show_one(row(answer.invitation), _INVITATIONS, output)


@calls
def invitations(to: Calls, *, limit: LimitOption = 50, output: OutputOption = Form.TABLE) -> None:
    """List the invitations that nobody has answered.

    Examples:
    smart-audit orgs invitations
    """
    request = organisations_pb2.ListInvitationsRequest()
    method = to.services.organisations.ListInvitations
    show(rows(to.each(method, request, "invitations", limit)), _INVITATIONS, output)


@calls
def withdraw(
    to: Calls,
    invitation: Annotated[str, typer.Argument(metavar="ID", help="The invitation's id.")],
    *,
    quiet: QuietOption = False,
) -> None:
    """Withdraw an invitation: its link works no longer.

    Examples:
    smart-audit orgs withdraw 01890a5d-ac96-7ab2-80e2-000000000001
    """
    request = organisations_pb2.WithdrawInvitationRequest(invitation_id=invitation)
    to.call(to.services.organisations.WithdrawInvitation, request)
    tell("withdrawn", quiet=quiet)


def _members(to: Calls, limit: int) -> "list[organisations_pb2.Member]":
    request = organisations_pb2.ListMembersRequest()
    return list(to.each(to.services.organisations.ListMembers, request, "members", limit))


def _member(to: Calls, named: str) -> str:
    """The user id of a member who is named by it or by the address. Raises: Failure, CallError."""
    try:
        return str(UUID(named))
    except ValueError:
        for one in _members(to, 0):
            if one.email.casefold() == named.casefold():
                return str(one.user_id)
    raise Failure(f"there is no member {named}", ExitCode.NOT_FOUND)


def _id_of(to: Calls, named: str) -> str:
    """The id of an organisation of yours. Raises: Failure, CallError."""
    try:
        return str(UUID(named))
    except ValueError:
        request = organisations_pb2.ListOrganisationsRequest()
        method = to.services.organisations.ListOrganisations
        found = [one.organisation for one in to.each(method, request, "memberships", 0)]
    ids = [str(one.id) for one in found if one.name == named]
    match ids:
        case [only]:
            return only
        case []:
            raise Failure(f"you are in no organisation {named!r}", ExitCode.NOT_FOUND)
    raise Failure(f"several organisations are called {named!r}: name one by its id", ExitCode.USAGE)
