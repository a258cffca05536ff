"""Tokens that no signup gives."""

import base64
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.auth.domain import USER_SCOPES
from smart_audit.core.sealing import Sealer
from smart_audit.core.settings import DEVELOPMENT_KEY
from tests.support.world import ISSUER


@pytest.fixture(scope="session")
def installation_token(world):
    """A factory of call metadata for any organisation, signed by the installation's own key."""
    sealer = Sealer(base64.b64decode(DEVELOPMENT_KEY))
    with world.database.connect() as connection:
        key_id, sealed = connection.execute(
            "SELECT id, sealed_private_key FROM auth.signing_keys"
        ).fetchone()
    key = Ed25519PrivateKey.from_private_bytes(sealer.open(sealed, "token signing key"))

    def token(organisation_id, scopes=USER_SCOPES):
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": "smart-audit",
            "sub": "somebody",
            "org": organisation_id,
            "scope": " ".join(scopes),
            "jti": "1",
            "iat": now,
            "exp": now + timedelta(minutes=5),
        }
        signed = jwt.encode(
            claims, key, algorithm="EdDSA", headers={"kid": key_id, "typ": "at+jwt"}
        )
        return (("authorization", f"Bearer {signed}"),)

    return token
