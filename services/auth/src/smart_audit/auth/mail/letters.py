"""What auth writes to people: each letter a type, with what its template needs."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from smart_audit.auth.domain import Client


class Letter:
    """A mail before it is written. Its template is `templates/letters/{template}.jinja`."""

    __slots__ = ()

    template: ClassVar[str]


@dataclass(frozen=True, slots=True)
class LinkLetter(Letter):
    """A letter with a link to a page, which the token opens."""

    page: ClassVar[str]

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifyEmail(LinkLetter):
    """To a new user: does this address reach you?"""

    template: ClassVar[str] = "verify_email"
    page: ClassVar[str] = "verify-email"

    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class ConfirmEmail(LinkLetter):
    """To the address that a user wants to change to."""

    template: ClassVar[str] = "confirm_email"
    page: ClassVar[str] = "verify-email"

    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class ResetPassword(LinkLetter):
    """To who has forgotten the password."""

    template: ClassVar[str] = "reset_password"
    page: ClassVar[str] = "reset-password"

    lifetime: timedelta
    client: Client


@dataclass(frozen=True, slots=True)
class SignInCode(Letter):
    """To who signs in by mail."""

    template: ClassVar[str] = "sign_in_code"

    code: str = field(repr=False)
    lifetime: timedelta
    client: Client


@dataclass(frozen=True, slots=True)
class Invitation(LinkLetter):
    """To who is invited into an organisation."""

    template: ClassVar[str] = "invitation"
    page: ClassVar[str] = "accept-invitation"

    organisation: str
    inviter: str
    role: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Notice(Letter):
    """To whose account has changed in a way that concerns its safety."""

    template: ClassVar[str] = "notice"

    what: str
    """A stable name, such as "password.changed"; the template has its words."""
    at: datetime
    client: Client
    detail: str = ""
