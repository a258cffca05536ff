"""`smart-audit users`: all users, for administrators of the installation."""

from typing import Annotated, Final
from uuid import UUID

import typer

from smart_audit.api.auth.v1 import admin_pb2
from smart_audit.cli.asking import confirm
from smart_audit.cli.calling import Calls, calls
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.messages import row, rows
from smart_audit.cli.options import LimitOption, QuietOption, YesOption
from smart_audit.cli.render import Column, Form, OutputOption, show, show_one, time, word
from smart_audit.cli.text import tell

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="The user's id or address.")]

_COLUMNS: Final = [
    Column("email"),
    Column("first_name", spare=True),
    Column("last_name", spare=True),
    Column("state", shown=word),
    Column("created_at", "since", shown=time, spare=True),
    Column("id"),
]
_DETAILS: Final = [
    Column("user.email"),
    Column("user.id"),
    Column("user.first_name"),
    Column("user.last_name"),
    Column("user.state", shown=word),
    Column("user.email_verified"),
    Column("user.password_reset_required"),
    Column("user.created_at", shown=time),
    Column("user.deactivated_at", shown=time),
    Column(
        "memberships",
        shown=lambda value: ", ".join(
            f"{one['organisation_name']} ({one['role']})" for one in value or ()
        ),
    ),
    Column("passkeys", shown=lambda value: str(len(value or ()))),
    Column("totp_confirmed_at", shown=time),
    Column("recovery_codes_left"),
    Column("sessions", shown=lambda value: str(len(value or ()))),
]


@calls
def list_(
    to: Calls,
    *,
    search: Annotated[
        str, typer.Option(help="Only those whose name or address begins like this.")
    ] = "",
    deactivated: Annotated[
        bool | None, typer.Option("--deactivated/--active", help="Only those, or only the others.")
    ] = None,
    limit: LimitOption = 50,
    output: OutputOption = Form.TABLE,
) -> None:
    """List the users of the installation.

    Examples:
    smart-audit users list --search ada
    smart-audit users list --deactivated -n 0 -o csv > deactivated.csv
    """
    states = {
        None: admin_pb2.USER_STATE_UNSPECIFIED,
        True: admin_pb2.USER_STATE_DEACTIVATED,
        False: admin_pb2.USER_STATE_ACTIVE,
    }
    request = admin_pb2.ListUsersRequest(search=search, state=states[deactivated])
    found = to.each(to.services.users.ListUsers, request, "users", limit)
    show(rows(found), _COLUMNS, output)


@calls
def get(to: Calls, user: UserArgument, *, output: OutputOption = Form.TABLE) -> None:
    """Show a user: organisations, factors, sessions.

    Examples:
    smart-audit users get ada@example.com
    """
    request = admin_pb2.GetUserRequest(user_id=id_of(to, user))
    show_one(row(to.call(to.services.users.GetUser, request)), _DETAILS, output)


@calls
def deactivate(
    to: Calls, user: UserArgument, *, yes: YesOption = False, quiet: QuietOption = False
) -> None:
    """Keep a user out: all sessions end, and no login works.

    Examples:
    smart-audit users deactivate ada@example.com
    """
    user_id = id_of(to, user)
    confirm(f"Deactivate {user}?", yes=yes)
    request = admin_pb2.DeactivateUserRequest(user_id=user_id)
    to.call(to.services.users.DeactivateUser, request)
    tell(f"{user} is deactivated", quiet=quiet)


@calls
def reactivate(to: Calls, user: UserArgument, *, quiet: QuietOption = False) -> None:
    """Let a deactivated user in again.

    Examples:
    smart-audit users reactivate ada@example.com
    """
    request = admin_pb2.ReactivateUserRequest(user_id=id_of(to, user))
    to.call(to.services.users.ReactivateUser, request)
    tell(f"{user} is active again", quiet=quiet)


@calls
def reset_password(
    to: Calls, user: UserArgument, *, yes: YesOption = False, quiet: QuietOption = False
) -> None:
    """Make a user choose a new password, by a link that is mailed.

    Examples:
    smart-audit users reset-password ada@example.com --yes
    """
    user_id = id_of(to, user)
    confirm(f"Make {user} choose a new password?", yes=yes)
    request = admin_pb2.ForcePasswordResetRequest(user_id=user_id)
    to.call(to.services.users.ForcePasswordReset, request)
    tell(f"{user} has to choose a new password", quiet=quiet)


@calls
def end_sessions(
    to: Calls, user: UserArgument, *, yes: YesOption = False, quiet: QuietOption = False
) -> None:
    """End all sessions of a user; access tokens are refused within a second.

    Examples:
    smart-audit users end-sessions ada@example.com --yes
    """
    user_id = id_of(to, user)
    confirm(f"End all sessions of {user}?", yes=yes)
    request = admin_pb2.EndUserSessionsRequest(user_id=user_id)
    ended = to.call(to.services.users.EndUserSessions, request).ended
    tell(f"{ended} sessions of {user} have ended", quiet=quiet)


def id_of(to: Calls, user: str) -> str:
    """The id of a user who is named by it or by the address. Raises: Failure, CallError."""
    try:
        return str(UUID(user))
    except ValueError:
        request = admin_pb2.ListUsersRequest(search=user)
        for one in to.each(to.services.users.ListUsers, request, "users", 0):
            if one.email.casefold() == user.casefold():
                return str(one.id)
    raise Failure(f"there is no user {user}", ExitCode.NOT_FOUND)
