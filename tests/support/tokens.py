"""Access tokens as an attacker makes them, who has stolen the installation's key or has none."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.core.sealing import Sealer
from smart_audit.core.settings import DEVELOPMENT_KEY
from tests.support.world import User, World


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """What a call with an access token carries."""
    return (("authorization", f"Bearer {token}"),)


def signing_key(world: World) -> tuple[str, Ed25519PrivateKey]:
    """The installation's own signing key, unsealed: (key id, key)."""
    sealer = Sealer(base64.b64decode(DEVELOPMENT_KEY))
    with world.database.connect() as connection:
        row = connection.execute("SELECT id, sealed_private_key FROM auth.signing_keys").fetchone()
    assert row is not None
    raw = sealer.open(row[1], "token signing key")
    return row[0], Ed25519PrivateKey.from_private_bytes(raw)


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unchecked."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def forged(
    world: World,
    user: User,
    *,
    headers: dict[str, Any] | None = None,
    key: Ed25519PrivateKey | None = None,
    **changes: Any,
) -> str:
    """A user's token made anew, well but for the changes; None takes a claim or a header away."""
    key_id, own_key = signing_key(world)
    now = datetime.now(UTC)
    claims = claims_of(user.access_token)
    claims |= {"iat": now, "exp": now + timedelta(minutes=5)} | changes
    named = {"kid": key_id, "typ": "at+jwt"} | (headers or {})
    return jwt.encode(
        {name: value for name, value in claims.items() if value is not None},
        key or own_key,
        algorithm="EdDSA",
        headers=named,
    )


def rewritten(token: str, *, header: dict[str, Any], claims: dict[str, Any] | None = None) -> str:
    """A token with another header or other claims under the signature that it has."""
    head, body, signature = token.split(".")
    content = [_changed(head, header), _changed(body, claims or {})]
    return ".".join([*map(_encoded, content), signature])


def signed_by_hmac(token: str, secret: bytes) -> str:
    """A token under HS256, as if the public key were a shared secret."""
    head, body, _ = token.split(".")
    text = f"{_encoded(_changed(head, {'alg': 'HS256'}))}.{body}"
    digest = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _changed(part: str, changes: dict[str, Any]) -> dict[str, Any]:
    content = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) | changes
    return {name: value for name, value in content.items() if value is not None}


def _encoded(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
