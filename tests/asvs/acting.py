"""What the tests of the requirements do again and again."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.core.sealing import Sealer
from smart_audit.core.settings import DEVELOPMENT_KEY
from tests.support.governance import until
from tests.support.world import User, World, refusal


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """What a call with a token carries."""
    return (("authorization", f"Bearer {token}"),)


def me(world: World, token: str) -> Any:
    """A call that any good token of a user may make."""
    return world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=bearer(token))


async def refused_everywhere(world: World, token: str) -> set[str]:
    """Why each service refuses a token."""
    listing = world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=bearer(token))
    return {(await refusal(call)).reason for call in (me(world, token), listing)}


async def login_refused(world: World, email: str, password: str) -> str:
    """Why a login is refused."""
    request = auth_pb2.LoginRequest(email=email, password=password)
    return (await refusal(world.auth.Login(request))).reason


def refresh(world: World, token: str) -> Any:
    """A call that exchanges a refresh token."""
    return world.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=token))


def signing_key(world: World) -> tuple[str, Ed25519PrivateKey]:
    """The installation's own key, as whoever holds the database and its key has it."""
    with world.database.connect() as connection:
        [(key_id, sealed)] = connection.execute(
            "SELECT id, sealed_private_key FROM auth.signing_keys ORDER BY activates_at LIMIT 1"
        ).fetchall()
    raw = Sealer(base64.b64decode(DEVELOPMENT_KEY)).open(sealed, "token signing key")
    return key_id, Ed25519PrivateKey.from_private_bytes(raw)


def forged(world: World, user: User, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A user's token, signed anew by the installation's own key, with other headers or claims."""
    key_id, key = signing_key(world)
    now = datetime.now(UTC)
    known = jwt.decode(user.access_token, options={"verify_signature": False})
    body = {**known, "iat": now, "exp": now + timedelta(minutes=5), **claims}
    head = {"kid": key_id, "typ": "at+jwt", **(headers or {})}
    return jwt.encode(body, key, algorithm="EdDSA", headers=head)


def execute(world: World, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """SQL by the owner of the database: what a test cannot wait for, or nobody else can see."""
    with world.database.connect() as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


async def recorded(world: World, user: User, action: str, **narrow: Any) -> audit_pb2.Event:
    """The latest event of one kind in the user's log, once it is there."""
    request = audit_pb2.ListEventsRequest(action=action, page_size=1, **narrow)

    async def found() -> audit_pb2.Event | None:
        answer = await world.events.ListEvents(request, metadata=user.metadata)
        return answer.events[0] if answer.events else None

    event: audit_pb2.Event = await until(found)
    return event
