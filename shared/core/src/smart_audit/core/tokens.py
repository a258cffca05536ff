"""Access tokens: checking one, and who it says is calling.

Format: JWT (RFC 7519) as an access token (RFC 9068), signed with EdDSA over Ed25519 (RFC 8037).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from smart_audit.core.errors import Unauthenticated
from smart_audit.core.ids import milliseconds_of
from smart_audit.core.revocations import (
    Revocations,
    member_key,
    session_key,
    token_key,
    user_key,
)

log = structlog.get_logger()

ALGORITHM = "EdDSA"
# The gateway's configuration says the same.
AUDIENCE = "smart-audit"
TOKEN_TYPE = "at+jwt"  # noqa: S105
REQUIRED_CLAIMS = ["iss", "aud", "sub", "org", "scope", "jti", "iat", "exp"]
LEEWAY_S = 5
LEEWAY = timedelta(seconds=LEEWAY_S)
REMEMBERED_TOKENS = 10_000
BEARER = "bearer "
API_KEY_PREFIX = "sa_"


class TokenMissing(Unauthenticated):
    """The call carries no access token."""

    reason = "TOKEN_MISSING"


class TokenInvalid(Unauthenticated):
    """The token is malformed, or signed by an unknown key."""

    reason = "TOKEN_INVALID"


class ApiKeyAsToken(Unauthenticated):
    """An API key was sent where an access token belongs."""

    reason = "API_KEY_AS_TOKEN"


class TokenExpired(Unauthenticated):
    """The token is past its lifetime."""

    reason = "TOKEN_EXPIRED"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as the access token says."""

    subject: str
    """A user's id, a service account's id, or the name of a service of the installation."""
    organisation_id: UUID
    session_id: UUID | None
    """The session, or the API key, that the token came from."""
    scopes: frozenset[str]
    token_id: str = ""
    issued_at_ms: int = 0
    """Milliseconds since 1970, from the token's id (RFC 9562, section 5.7)."""
    is_machine: bool = False
    authenticated_at: int | None = None
    """When the person has authenticated last; seconds since 1970."""
    amr: tuple[str, ...] = ()
    """By which methods (RFC 8176)."""
    impersonator: str | None = None
    """The administrator who acts as the subject (RFC 8693, section 4.1)."""
    expires_at: int = 0
    """When the token expires; seconds since 1970."""
    impersonator_organisation_id: UUID | None = None
    """The organisation that makes the impersonator an administrator."""
    impersonation_reason: str = ""

    @property
    def is_person(self) -> bool:
        """Whether a person calls, in a session."""
        return self.session_id is not None and not self.is_machine

    @property
    def marks(self) -> dict[str, str]:
        """What each event that the call causes says of the administrator who really acts."""
        if self.impersonator is None:
            return {}
        return {
            "impersonator_id": self.impersonator,
            "impersonation_reason": self.impersonation_reason,
        }


class KeyCache:
    """Verification keys by key id, fetched from where they are published.

    Keys are taken from this cache alone: what a token says about keys (`jku`, `x5u`, `jwk`) is
    never followed. While the source is away the known keys serve for `stale_for_s` seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Mapping[str, Ed25519PublicKey]]],
        *,
        fresh_for_s: float = 60,
        stale_for_s: float = 3600,
        refetch_after_s: float = 1,
    ) -> None:
        self._fetch = fetch
        self._fresh_for_s = fresh_for_s
        self._stale_for_s = stale_for_s
        self._refetch_after_s = refetch_after_s
        self._keys: Mapping[str, Ed25519PublicKey] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._refreshing: set[asyncio.Task[None]] = set()

    async def get(self, key_id: str) -> Ed25519PublicKey | None:
        """The key with this id, or None when no published key has it.

        A known key is given at once, and read anew beside the call when it is old: a slow source
        must not slow every call down.
        """
        age = time.monotonic() - self._fetched_at
        if key_id not in self._keys or age > self._stale_for_s:
            await self._refresh()
        elif age > self._fresh_for_s and not self._lock.locked():
            task = asyncio.create_task(self._refresh())
            self._refreshing.add(task)
            task.add_done_callback(self._refreshing.discard)
        if time.monotonic() - self._fetched_at > self._stale_for_s:
            return None
        return self._keys.get(key_id)

    async def _refresh(self) -> None:
        async with self._lock:
            # Unknown key ids come from attackers too: ask the source at most so often.
            if time.monotonic() - self._tried_at < self._refetch_after_s:
                return
            try:
                self._keys = await self._fetch()
            except Exception as error:  # noqa: BLE001  (whatever it is, the known keys serve on)
                log.warning("keys.fetch_failed", error=type(error).__name__)
            else:
                self._fetched_at = time.monotonic()
            # From the end: who waited for a slow answer must not ask again at once.
            self._tried_at = time.monotonic()


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that was found good, and what must still hold when it comes again."""

    caller: Caller
    key_id: str
    key: Ed25519PublicKey
    expires_at: float
    revocation_keys: tuple[bytes, ...]


class TokenVerifier:
    """Checks access tokens of one issuer.

    A signature costs 200 µs to check and a caller sends one token many times, so good tokens are
    remembered, by digest. What can change is looked at each time: the lifetime, whether the key is
    still published, and whether the token was revoked.
    """

    def __init__(self, keys: KeyCache, revocations: Revocations, *, issuer: str) -> None:
        self._keys = keys
        self._revocations = revocations
        self._issuer = issuer
        self._verified: dict[bytes, _Verified] = {}

    async def verify(self, token: str) -> Caller:
        """Check signature, issuer, audience and lifetime, and that it was not revoked.

        Raises: TokenInvalid, TokenExpired, SessionEnded, Unavailable.
        """
        verified = await self._verified_token(token)
        await self._revocations.wait_for_word()
        self._revocations.check(verified.revocation_keys, verified.caller.issued_at_ms)
        return verified.caller

    async def _verified_token(self, token: str) -> _Verified:
        digest = sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None and time.time() < known.expires_at:
            if await self._keys.get(known.key_id) == known.key:
                return known
            self._verified.pop(digest, None)
        verified = await self._check(token)
        while len(self._verified) >= REMEMBERED_TOKENS:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = verified
        return verified

    async def _check(self, token: str) -> _Verified:
        if token.startswith(API_KEY_PREFIX):
            raise ApiKeyAsToken(
                "an API key is no access token; exchange it for one: POST /oauth/token with "
                "grant_type=client_credentials, its prefix as client_id, the key as client_secret"
            )
        try:
            header = jwt.get_unverified_header(token)
            key_id = str(header.get("kid"))
            key = await self._keys.get(key_id)
            if key is None or header.get("typ") != TOKEN_TYPE:
                raise TokenInvalid("the access token is not one of ours")
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=AUDIENCE,
                leeway=LEEWAY_S,
                options={"require": REQUIRED_CLAIMS, "strict_aud": True},
            )
            caller = _caller(claims)
            return _Verified(caller, key_id, key, claims["exp"] + LEEWAY_S, _keys_of(caller))
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired("the access token has expired; refresh it") from error
        except (jwt.InvalidTokenError, ValueError, TypeError, KeyError) as error:
            raise TokenInvalid("the access token is not valid") from error


def bearer_of(authorization: str) -> str | None:
    """The token in a header `authorization`; None when there is none of this kind."""
    if authorization[: len(BEARER)].lower() != BEARER:
        return None
    return authorization[len(BEARER) :].strip()


def _caller(claims: Mapping[str, Any]) -> Caller:
    """Raises: ValueError, TypeError, KeyError for claims of another kind."""
    session_id = claims.get("sid")
    authenticated_at = claims.get("auth_time")
    return Caller(
        subject=str(claims["sub"]),
        organisation_id=UUID(str(claims["org"])),
        session_id=None if session_id is None else UUID(str(session_id)),
        scopes=frozenset(str(claims["scope"]).split()),
        token_id=str(claims["jti"]),
        issued_at_ms=milliseconds_of(UUID(str(claims["jti"]))),
        is_machine="client_id" in claims,
        authenticated_at=None if authenticated_at is None else int(authenticated_at),
        amr=tuple(map(str, claims.get("amr", ()))),
        expires_at=int(claims["exp"]),
        **_impersonation(claims.get("act")),
    )


def _impersonation(act: Mapping[str, Any] | None) -> dict[str, Any]:
    if act is None:
        return {}
    return {
        "impersonator": str(act["sub"]),
        "impersonator_organisation_id": UUID(str(act["org"])),
        "impersonation_reason": str(act["reason"]),
    }


def _keys_of(caller: Caller) -> tuple[bytes, ...]:
    keys = [
        user_key(caller.subject),
        member_key(caller.subject, caller.organisation_id),
        token_key(caller.token_id),
    ]
    if caller.session_id is not None:
        keys.append(session_key(caller.session_id))
    if caller.impersonator is not None and caller.impersonator_organisation_id is not None:
        # Whoever is no administrator any more acts as nobody any more.
        keys.append(user_key(caller.impersonator))
        keys.append(member_key(caller.impersonator, caller.impersonator_organisation_id))
    return tuple(keys)
