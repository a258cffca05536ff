"""Access tokens: checking one, and who it says is calling.

Format: JWT (RFC 7519) as an access token (RFC 9068), signed with EdDSA over Ed25519 (RFC 8037).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from smart_audit.core.errors import Unauthenticated

log = structlog.get_logger()

ALGORITHM = "EdDSA"
# The gateway's configuration says the same.
AUDIENCE = "smart-audit"
TOKEN_TYPE = "at+jwt"  # noqa: S105
REQUIRED_CLAIMS = ["iss", "aud", "sub", "org", "scope", "jti", "iat", "exp"]
LEEWAY_S = 5
REMEMBERED_TOKENS = 10_000


class TokenMissing(Unauthenticated):
    """The call carries no access token."""

    reason = "TOKEN_MISSING"


class TokenInvalid(Unauthenticated):
    """The token is malformed, or signed by an unknown key."""

    reason = "TOKEN_INVALID"


class TokenExpired(Unauthenticated):
    """The token is past its lifetime."""

    reason = "TOKEN_EXPIRED"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as the access token says."""

    subject: str
    organisation_id: UUID
    session_id: UUID | None
    scopes: frozenset[str]


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


class TokenVerifier:
    """Checks access tokens of one issuer.

    A signature costs 200 µs to check and a caller sends one token many times, so good tokens are
    remembered, by digest. What can change is looked at each time: the lifetime, and whether the
    key is still published.
    """

    def __init__(self, keys: KeyCache, *, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._verified: dict[bytes, _Verified] = {}

    async def verify(self, token: str) -> Caller:
        """Check signature, issuer, audience and lifetime.

        Raises: TokenInvalid, TokenExpired.
        """
        digest = sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None and time.time() < known.expires_at:
            if await self._keys.get(known.key_id) == known.key:
                return known.caller
            self._verified.pop(digest, None)
        verified = await self._check(token)
        while len(self._verified) >= REMEMBERED_TOKENS:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = verified
        return verified.caller

    async def _check(self, token: str) -> _Verified:
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
            return _Verified(_caller(claims), key_id, key, claims["exp"] + LEEWAY_S)
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired("the access token has expired; refresh it") from error
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise TokenInvalid("the access token is not valid") from error


def _caller(claims: Mapping[str, object]) -> Caller:
    session_id = claims.get("sid")
    return Caller(
        subject=str(claims["sub"]),
        organisation_id=UUID(str(claims["org"])),
        session_id=None if session_id is None else UUID(str(session_id)),
        scopes=frozenset(str(claims["scope"]).split()),
    )
