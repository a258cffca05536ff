"""Tokens that no signup gives."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from smart_audit.auth.roles import PERMISSIONS
from smart_audit.core.ids import new_id
from tests.support.tokens import bearer, signing_key
from tests.support.world import ISSUER


@pytest.fixture(scope="session")
def installation_token(world):
    """A factory of call metadata for any organisation, signed by the installation's own key."""
    key_id, key = signing_key(world)

    def token(organisation_id, scopes=PERMISSIONS["owner"]):
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": "smart-audit",
            "sub": "somebody",
            "org": organisation_id,
            "scope": " ".join(scopes),
            "jti": str(new_id()),
            "iat": now,
            "exp": now + timedelta(minutes=5),
        }
        headers = {"kid": key_id, "typ": "at+jwt"}
        return bearer(jwt.encode(claims, key, algorithm="EdDSA", headers=headers))

    return token
