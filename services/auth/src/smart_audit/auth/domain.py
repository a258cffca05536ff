"""Users, organisations, sessions: what they are and what holds of them. No I/O."""

import hashlib
import hmac
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
OrganisationId = NewType("OrganisationId", UUID)
SessionId = NewType("SessionId", UUID)
CanonicalEmail = NewType("CanonicalEmail", str)

# What concerns no organisation, e.g. a failed login for an unknown address, goes to the log of
# the installation itself.
INSTALLATION = OrganisationId(UUID("00000000-0000-7000-8000-000000000000"))

# Whom an unknown address is taken for, so that it costs the same queries as a known one.
NOBODY = UserId(UUID(int=0))

OWNER = "owner"
SERVICE_SCOPES = ("events.record", "events.record_any")


def canonical(email: str) -> CanonicalEmail:
    """The form in which addresses are compared: NFKC, without case, without outer spaces."""
    return CanonicalEmail(unicodedata.normalize("NFKC", email).strip().casefold())


@dataclass(frozen=True, slots=True)
class User:
    """A person who can log in."""

    id: UserId
    email: str
    first_name: str
    last_name: str
    password_hash: str | None = field(repr=False)
    created_at: datetime
    email_verified_at: datetime | None = None
    password_reset_required: bool = False
    deactivated_at: datetime | None = None

    @property
    def name(self) -> str:
        """The display name."""
        return f"{self.first_name} {self.last_name}"


class SignInPolicy(Enum):
    """How members of an organisation have to log in."""

    SECOND_FACTOR_OPTIONAL = "second_factor_optional"
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    PASSWORD_ONLY = "password_only"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Organisation:
    """A group of users with one audit log."""

    id: OrganisationId
    name: str
    sign_in_policy: SignInPolicy = SignInPolicy.SECOND_FACTOR_OPTIONAL
    login_codes: bool = False
    """Whether members may log in by a code that they are sent."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What a user is in an organisation."""

    organisation: Organisation
    role: str

    def lacks_factor(self, amr: tuple[str, ...]) -> bool:
        """Whether the organisation requires a second factor, and these methods show none."""
        required = self.organisation.sign_in_policy is SignInPolicy.SECOND_FACTOR_REQUIRED
        return required and MULTIPLE_FACTORS not in amr


PASSWORD = "pwd"  # noqa: S105
MULTIPLE_FACTORS = "mfa"
"""Names of methods of authentication are those of RFC 8176."""


def marks_of(impersonator_id: UUID | str | None, reason: str) -> dict[str, Any]:
    """What an event says of the administrator who really acts; empty without one."""
    if impersonator_id is None:
        return {}
    return {"impersonator_id": str(impersonator_id), "impersonation_reason": reason}


@dataclass(frozen=True, slots=True)
class Session:
    """A login, from its start to its end."""

    id: SessionId
    user_id: UserId
    organisation_id: OrganisationId
    created_at: datetime
    expires_at: datetime
    authenticated_at: datetime
    amr: tuple[str, ...]
    """By which methods the person has authenticated (RFC 8176)."""
    last_used_at: datetime
    address: str = ""
    user_agent: str = ""
    ended_at: datetime | None = None
    impersonator_id: UserId | None = None
    impersonation_reason: str = ""

    @property
    def marks(self) -> dict[str, Any]:
        """What events say of the administrator who acts in this session; empty without one."""
        return marks_of(self.impersonator_id, self.impersonation_reason)

    def is_live(self, at: datetime) -> bool:
        """Whether tokens of this session may be used."""
        return self.ended_at is None and at < self.expires_at

    def authenticated(self, at: datetime, amr: tuple[str, ...]) -> "Session":
        """The session after the person has authenticated anew."""
        return replace(self, authenticated_at=at, amr=amr)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What is asked once and answered once, soon: by whoever holds its token."""

    token_hash: bytes
    purpose: str
    user_id: UserId | None
    data: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime
    attempts: int = 0
    """Wrong answers so far."""
    used_at: datetime | None = None


class Exchange(Enum):
    """What may be done with a refresh token."""

    ROTATE = "rotate"
    REPEAT = "repeat"
    EXPIRED = "expired"
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token as the database knows it: by its hash."""

    token_hash: bytes
    session_id: SessionId
    expires_at: datetime
    rotated_at: datetime | None = None

    def exchange(self, at: datetime, grace: timedelta) -> Exchange:
        """Decide about an exchange at `at`; a spent token repeats its answer within `grace`.

        Source: RFC 9700, section 4.14.2.
        """
        if self.rotated_at is not None:
            return Exchange.REPEAT if at - self.rotated_at <= grace else Exchange.REUSED
        return Exchange.ROTATE if at < self.expires_at else Exchange.EXPIRED


def token_hash(token: str) -> bytes:
    """What is stored of a refresh token; 32 bytes. It has 256 random bits, so no salt is needed."""
    return hashlib.sha256(token.encode()).digest()


def successor(token: str, key: bytes) -> str:
    """The refresh token that follows `token`; 256 bits as base64url.

    Derived and not drawn, so that calls that race with one token all get the same successor,
    though only hashes are stored.
    """
    digest = hmac.digest(key, token.encode(), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


class Outcome(Enum):
    """How an attempt ended."""

    SUCCESS = "success"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Client:
    """Where a call came from."""

    address: str = ""
    user_agent: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """A person who calls, in a session."""

    user_id: UserId
    session_id: SessionId


@dataclass(frozen=True, slots=True)
class Acting:
    """Who does what, from where: what the event of a call tells beside its outcome."""

    action: str
    """As the proto declares it for the method."""
    client: Client
    person: Person | None = None
    machine_id: str = ""
    """The service account that calls, or the service of the installation."""
    organisation_id: OrganisationId = INSTALLATION
    """The organisation of the token."""
    scopes: frozenset[str] = frozenset()
    amr: tuple[str, ...] = ()
    impersonator_id: str | None = None
    """The administrator who acts as the person."""
    impersonation_reason: str = ""

    @property
    def marks(self) -> dict[str, Any]:
        """What the event says of the administrator who acts as the person; empty without one."""
        return marks_of(self.impersonator_id, self.impersonation_reason)

    @property
    def me(self) -> Person:
        """The person who calls, where the method's rule lets only persons in."""
        if self.person is None:
            raise TypeError(f"{self.action} was reached by no person")
        return self.person


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A decision of auth, on its way to the audit log."""

    id: UUID
    organisation_id: OrganisationId
    action: str
    occurred_at: datetime
    outcome: Outcome
    client: Client
    reason: str = ""
    actor_id: str = "anonymous"
    actor_type: str = "anonymous"
    actor_name: str = ""
    actor_email: str = ""
    targets: tuple[tuple[str, str], ...] = ()
    """(type, id) of each."""
    metadata: dict[str, Any] = field(default_factory=dict)
