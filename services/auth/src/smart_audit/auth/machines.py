"""Service accounts and API keys: what they are and what holds of them. No I/O."""

import re
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NewType
from uuid import UUID

from smart_audit.auth.domain import OrganisationId

ServiceAccountId = NewType("ServiceAccountId", UUID)
ApiKeyId = NewType("ApiKeyId", UUID)

# Letters and digits alone: a double click selects a whole key.
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX_DIGITS = 8
SECRET_DIGITS = 43
CHECKSUM_DIGITS = 6
API_KEY = re.compile(
    rf"(?P<prefix>sa_[0-9A-Za-z]{{{PREFIX_DIGITS}}})_[0-9A-Za-z]{{{SECRET_DIGITS}}}"
    rf"(?P<checksum>[0-9A-Za-z]{{{CHECKSUM_DIGITS}}})"
)
# Scopes by this end reach into all organisations; no machine of one organisation gets them.
ANY = "_any"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """By which programs act in an organisation."""

    id: ServiceAccountId
    organisation_id: OrganisationId
    name: str
    scopes: tuple[str, ...]
    """What its tokens may do at most, in order."""
    created_at: datetime
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What a service account authenticates with, as the database knows it: by its hash."""

    id: ApiKeyId
    organisation_id: OrganisationId
    service_account_id: ServiceAccountId
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_live(self, at: datetime) -> bool:
        """Whether the key may be exchanged for tokens."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def replaced(self, until: datetime) -> "ApiKey":
        """The key after another follows it: it works no longer than `until`."""
        return replace(self, expires_at=min(until, self.expires_at or until))

    def end_of_successor(self, at: datetime) -> datetime | None:
        """When a key made at `at` ends, if it is to live as long as this one was to."""
        return None if self.expires_at is None else at + (self.expires_at - self.created_at)


@dataclass(frozen=True, slots=True)
class Machine:
    """A service account, known by one of its API keys."""

    key: ApiKey
    account: ServiceAccount

    def goes_by(self, client_id: str) -> bool:
        """Whether a client id names it: the account's id, or the key's prefix."""
        return client_id in (str(self.account.id), self.key.prefix)

    def may_act(self, at: datetime) -> bool:
        """Whether it may be given tokens."""
        return self.key.is_live(at) and self.account.disabled_at is None


def forbidden_scopes(wanted: Collection[str], held: Collection[str]) -> list[str]:
    """The wanted scopes that whoever holds `held` cannot give to a machine."""
    return sorted(scope for scope in wanted if scope not in held or scope.endswith(ANY))


def make_api_key(public: str, secret: str) -> tuple[str, str]:
    """An API key and its prefix, which may be shown: `sa_<8>_<43><6>`, in base 62.

    public, secret: 256 random bits each, as base64url. The whole secret is in the key; the last
    six digits are the CRC-32 of all before them, so that a scanner can tell a key from what only
    looks like one, without asking anybody.
    """
    prefix = f"sa_{_digits(_number(public), PREFIX_DIGITS)}"
    body = f"{prefix}_{_digits(_number(secret), SECRET_DIGITS)}"
    return body + _checksum(body), prefix


def is_api_key(text: str) -> bool:
    """Whether a text is an API key by its form and its checksum."""
    found = API_KEY.fullmatch(text)
    return found is not None and found["checksum"] == _checksum(text[:-CHECKSUM_DIGITS])


def _checksum(body: str) -> str:
    return _digits(zlib.crc32(body.encode()), CHECKSUM_DIGITS)


def _number(secret: str) -> int:
    return int.from_bytes(urlsafe_b64decode(secret + "=" * (-len(secret) % 4)), "big")


def _digits(number: int, count: int) -> str:
    """The last `count` digits of a number in base 62."""
    digits = []
    for _ in range(count):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
