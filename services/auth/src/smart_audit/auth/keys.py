"""Signing keys and the access tokens they sign."""

import asyncio
import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from smart_audit.auth.domain import INSTALLATION, OrganisationId
from smart_audit.auth.repository import Repositories, SigningKeyRow, Work
from smart_audit.core.ids import new_id, utc_now
from smart_audit.core.sealing import Sealer
from smart_audit.core.tokens import ALGORITHM, AUDIENCE, TOKEN_TYPE

PURPOSE = "token signing key"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A verification key as it is published."""

    id: str
    raw: bytes
    """32 bytes."""

    @property
    def x(self) -> str:
        """The key in base64url without padding (RFC 8037)."""
        return base64.urlsafe_b64encode(self.raw).rstrip(b"=").decode()


class KeyRing:
    """The installation's signing keys, made on first use, kept sealed in the database."""

    def __init__(self, work: Work, sealer: Sealer) -> None:
        self._work = work
        self._sealer = sealer
        self._rows: list[SigningKeyRow] = []
        self._opened: tuple[str, Ed25519PrivateKey] | None = None
        self._lock = asyncio.Lock()

    async def published(self) -> list[PublicKey]:
        """The keys that verify tokens, the newest first."""
        return [PublicKey(row.id, row.public_key) for row in await self._current_rows()]

    async def verification_keys(self) -> dict[str, Ed25519PublicKey]:
        """The same keys, ready to verify with, by key id."""
        keys = await self.published()
        return {key.id: Ed25519PublicKey.from_public_bytes(key.raw) for key in keys}

    async def signing_key(self) -> tuple[str, Ed25519PrivateKey]:
        """The newest active key: (key id, key). Raises: SealBroken."""
        rows = await self._current_rows()
        now = utc_now()
        # By another machine's clock the first key may lie a moment ahead.
        row = next((row for row in rows if row.activates_at <= now), rows[-1])
        if self._opened is None or self._opened[0] != row.id:
            raw = self._sealer.open(row.sealed_private_key, PURPOSE)
            self._opened = row.id, Ed25519PrivateKey.from_private_bytes(raw)
        return self._opened

    async def _current_rows(self) -> list[SigningKeyRow]:
        """The known rows at once: they are read anew beside the calls.

        Callers may hold a database connection. If they waited here for another one, enough of them
        together would wait for each other.
        """
        if not self._rows:
            async with self._lock:
                if not self._rows:
                    await self.reread()
        return self._rows

    async def reread(self) -> None:
        """Learn of keys that came or went."""
        async with self._work.everywhere() as repositories:
            self._rows = await self._read_or_make(repositories, utc_now())

    async def _read_or_make(self, repositories: Repositories, now: datetime) -> list[SigningKeyRow]:
        if rows := await repositories.signing_keys.published(now):
            return rows
        await repositories.signing_keys.lock()
        if rows := await repositories.signing_keys.published(now):
            return rows
        row = self.new_row(now, now)
        await repositories.signing_keys.add(row)
        return [row]

    def new_row(self, created_at: datetime, activates_at: datetime) -> SigningKeyRow:
        """A new key, sealed; nobody knows of it yet."""
        private_key = Ed25519PrivateKey.generate()
        public = private_key.public_key().public_bytes_raw()
        key_id = base64.urlsafe_b64encode(hashlib.sha256(public).digest()[:12]).decode()
        sealed = self._sealer.seal(private_key.private_bytes_raw(), PURPOSE)
        return SigningKeyRow(key_id, public, sealed, created_at, activates_at)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says."""

    subject: str
    organisation_id: OrganisationId
    scopes: tuple[str, ...]
    session_id: UUID | None = None
    """The session, or the API key, that it comes from."""
    authenticated_at: datetime | None = None
    """When the person has authenticated last."""
    amr: tuple[str, ...] = ()
    """By which methods (RFC 8176)."""
    client_id: str = ""
    """The service account, in a machine's token (RFC 9068, section 2.2)."""
    impersonator_id: UUID | None = None
    """The administrator who acts as the subject (RFC 8693, section 4.1)."""
    impersonation_reason: str = ""


class TokenIssuer:
    """Signs access tokens (RFC 9068)."""

    def __init__(self, keys: KeyRing, *, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer

    async def issue(self, claims: AccessClaims, lifetime: timedelta) -> str:
        """A signed token that lives from now for `lifetime`."""
        key_id, key = await self._keys.signing_key()
        now = utc_now()
        payload: dict[str, object] = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": claims.subject,
            "org": str(claims.organisation_id),
            "scope": " ".join(claims.scopes),
            "jti": str(new_id()),
            "iat": now,
            "exp": now + lifetime,
        }
        if claims.session_id is not None:
            payload["sid"] = str(claims.session_id)
        if claims.authenticated_at is not None:
            payload["auth_time"] = int(claims.authenticated_at.timestamp())
            payload["amr"] = list(claims.amr)
        if claims.client_id:
            payload["client_id"] = claims.client_id
        if claims.impersonator_id is not None:
            payload["act"] = {
                "sub": str(claims.impersonator_id),
                "org": str(INSTALLATION),
                "reason": claims.impersonation_reason,
            }
        return jwt.encode(
            payload, key, algorithm=ALGORITHM, headers={"kid": key_id, "typ": TOKEN_TYPE}
        )
