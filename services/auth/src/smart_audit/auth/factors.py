"""Second factors: what they are and what holds of them. No I/O.

A factor is an app for one-time codes (TOTP) or a passkey; a recovery code replaces one, once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any, NewType
from uuid import UUID

from smart_audit.auth.domain import MULTIPLE_FACTORS, UserId

PasskeyId = NewType("PasskeyId", UUID)

MAX_PASSKEYS = 20

# Methods of authentication (RFC 8176), beside those of the domain.
ONE_TIME_CODE = "otp"
HARDWARE_KEY = "hwk"
SOFTWARE_KEY = "swk"
USER_PRESENT = "user"


class Factor(Enum):
    """What a login can be asked for after the password."""

    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"


@dataclass(frozen=True, slots=True)
class TotpSecret:
    """A user's app for one-time codes; it counts once it is confirmed."""

    user_id: UserId
    sealed_secret: bytes = field(repr=False)
    created_at: datetime
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Passkey:
    """A public key, whose private half an authenticator keeps."""

    id: PasskeyId
    credential_id: bytes
    user_id: UserId
    name: str
    public_key: bytes
    """COSE (RFC 9052), as the authenticator gave it."""
    sign_count: int
    transports: tuple[str, ...]
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None = None

    def is_cloned(self, sign_count: int) -> bool:
        """Whether a use with this counter shows that two authenticators hold the key.

        Authenticators that do not count say 0 always.

        Source: W3C Web Authentication, level 3, section 6.1.1.
        """
        return (sign_count, self.sign_count) != (0, 0) and sign_count <= self.sign_count

    def used(self, sign_count: int, at: datetime, *, backed_up: bool) -> "Passkey":
        """The passkey after a use."""
        return replace(self, sign_count=sign_count, backed_up=backed_up, last_used_at=at)

    @property
    def methods(self) -> tuple[str, ...]:
        """What a use of it proves. Each verifies its user, so it is two factors by itself."""
        return (SOFTWARE_KEY if self.backed_up else HARDWARE_KEY, USER_PRESENT, MULTIPLE_FACTORS)


@dataclass(frozen=True, slots=True)
class Factors:
    """All factors of a user."""

    totp: TotpSecret | None
    passkeys: tuple[Passkey, ...]
    recovery_codes_left: int

    @property
    def count(self) -> int:
        """How many second factors the user has; recovery codes are none."""
        return len(self.passkeys) + (self.confirmed_totp is not None)

    @property
    def confirmed_totp(self) -> TotpSecret | None:
        """The app, if it has been confirmed."""
        return self.totp if self.totp and self.totp.confirmed_at else None

    @property
    def offered(self) -> tuple[Factor, ...]:
        """What a login can be completed with; empty without a second factor."""
        offers = {
            Factor.TOTP: self.confirmed_totp is not None,
            Factor.PASSKEY: bool(self.passkeys),
            Factor.RECOVERY_CODE: self.count > 0 and self.recovery_codes_left > 0,
        }
        return tuple(factor for factor, offered in offers.items() if offered)


@dataclass(frozen=True, slots=True)
class TotpCode:
    """A code of the app, as proof of it."""

    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """A recovery code, as proof of the lost factor."""

    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """What an authenticator has signed, as the browser gives it, as proof of a passkey."""

    credential: Mapping[str, Any] = field(repr=False)


Proof = TotpCode | RecoveryCode | PasskeyAnswer


@dataclass(frozen=True, slots=True)
class Proven:
    """A factor that was proven."""

    factor: Factor
    methods: tuple[str, ...]


def methods(*used: str | Iterable[str]) -> tuple[str, ...]:
    """The methods of an authentication, each once, in the order in which they were used."""
    flat = (one for some in used for one in ([some] if isinstance(some, str) else some))
    return tuple(dict.fromkeys(flat))
