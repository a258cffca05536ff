"""Service accounts and API keys in tests, and OAuth as a client library speaks it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import grpc.aio
import orjson
from google.api.httpbody_pb2 import HttpBody

from smart_audit.api.auth.v1 import machines_pb2, machines_pb2_grpc, oauth_pb2, oauth_pb2_grpc
from tests.support.world import User, World

FORM = "application/x-www-form-urlencoded"
REQUESTS = {
    "Token": oauth_pb2.TokenRequest,
    "Introspect": oauth_pb2.IntrospectRequest,
    "Revoke": oauth_pb2.RevokeRequest,
}


@dataclass(frozen=True)
class Key:
    """An API key that was made."""

    id: str
    account_id: str
    secret: str

    @property
    def prefix(self) -> str:
        """How it begins."""
        return self.secret.rpartition("_")[0]

    @property
    def auth(self) -> tuple[str, str]:
        """What HTTP Basic sends."""
        return self.account_id, self.secret


@dataclass(frozen=True)
class Machines:
    """The services of machines, called directly."""

    accounts: Any
    oauth: Any

    async def new_account(self, user: User, *scopes: str, name: str = "") -> Any:
        """Create a service account; the name is a new one if none is given."""
        request = machines_pb2.CreateServiceAccountRequest(
            name=name or uuid4().hex, scopes=scopes or ["events.read", "events.record"]
        )
        answer = await self.accounts.CreateServiceAccount(request, metadata=user.metadata)
        return answer.service_account

    async def new_key(self, user: User, account_id: str, **fields: Any) -> Key:
        """Make a key for a service account."""
        request = machines_pb2.CreateApiKeyRequest(service_account_id=account_id, **fields)
        answer = await self.accounts.CreateApiKey(request, metadata=user.metadata)
        return Key(answer.api_key.id, account_id, answer.key)

    async def new_machine(self, user: User, *scopes: str, **fields: Any) -> Key:
        """Create a service account with a key."""
        return await self.new_key(user, (await self.new_account(user, *scopes)).id, **fields)

    def send(
        self,
        method: str,
        form: dict[str, str],
        authorization: str = "",
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> Any:
        """Call a method of OAuth with a form."""
        body = HttpBody(content_type=FORM, data=urlencode(form).encode())
        if authorization:
            metadata = (*metadata, ("authorization", authorization))
        return getattr(self.oauth, method)(REQUESTS[method](form=body), metadata=metadata)

    async def ask(
        self, method: str, form: dict[str, str], authorization: str = ""
    ) -> dict[str, Any]:
        """Call a method of OAuth; gives the JSON of the answer."""
        answer = await self.send(method, form, authorization)
        assert answer.content_type == "application/json"
        content: dict[str, Any] = orjson.loads(answer.data)
        return content

    async def token(self, key: Key, **more: str) -> str:
        """Exchange a key for an access token."""
        return str((await self.ask("Token", exchange(key, **more)))["access_token"])

    async def introspect(self, token: str, caller: str) -> dict[str, Any]:
        """What a token is, as the holder of an access token is told."""
        return await self.ask("Introspect", {"token": token}, f"Bearer {caller}")


def exchange(key: Key, **more: str) -> dict[str, str]:
    """The form that exchanges a key, which authenticates in it."""
    return {
        "grant_type": "client_credentials",
        "client_id": key.account_id,
        "client_secret": key.secret,
        **more,
    }


@asynccontextmanager
async def machines_of(world: World) -> AsyncIterator[Machines]:
    """The services of machines in a world."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.auth_port}") as channel:
        yield Machines(
            machines_pb2_grpc.ServiceAccountServiceStub(channel),
            oauth_pb2_grpc.OAuthServiceStub(channel),
        )
