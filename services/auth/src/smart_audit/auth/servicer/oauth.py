"""OAuthService: from the wire to a use case and back.

A refusal goes out in both forms that its readers know: the body of RFC 6749, and a
`google.rpc.Status`. gRPC drops a unary method's answer when its status is not OK; a stream keeps
what it sent before. So these methods are served as streams of one answer. On the wire that is the
same; the gateway makes the HTTP status of the gRPC status and the HTTP body of the answer.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.api.httpbody_pb2 import HttpBody

from smart_audit.api.auth.v1 import oauth_pb2
from smart_audit.auth.clients import NOBODY, Clients, client_invalid
from smart_audit.auth.domain import OrganisationId
from smart_audit.auth.errors import ClientInvalid, GrantInvalid, GrantTypeUnsupported
from smart_audit.auth.messages import oauth as messages
from smart_audit.auth.servicer.base import Servicer, acting
from smart_audit.auth.use_cases.common import Deps, Work
from smart_audit.auth.use_cases.exchange_api_key import exchange_api_key
from smart_audit.auth.use_cases.refresh_token import Refresh, refresh
from smart_audit.auth.use_cases.throttling import check_limits
from smart_audit.auth.use_cases.tokens import introspect, revoke_token
from smart_audit.core.errors import DomainError, Unauthenticated
from smart_audit.core.rpc.context import current_authorization
from smart_audit.core.tokens import TokenVerifier, bearer_of

SERVICE = oauth_pb2.DESCRIPTOR.services_by_name["OAuthService"]

Form = dict[str, str]


class OAuthServicer(Servicer):
    """Exchanges API keys, tells what tokens are, revokes them."""

    def __init__(
        self,
        work: Work,
        deps: Deps,
        clients: Clients,
        verifier: TokenVerifier,
        issuer: str,
    ) -> None:
        super().__init__(work, deps)
        self._clients = clients
        self._verifier = verifier
        self._issuer = issuer

    async def Token(self, request: oauth_pb2.TokenRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Exchange an API key or a refresh token."""
        async for answer in _answered(self._token, request.form, context):
            yield answer

    async def Introspect(
        self, request: oauth_pb2.IntrospectRequest, context: Any
    ) -> AsyncIterator[HttpBody]:
        """Tell what a token is."""
        async for answer in _answered(self._introspect, request.form, context):
            yield answer

    async def Revoke(
        self, request: oauth_pb2.RevokeRequest, context: Any
    ) -> AsyncIterator[HttpBody]:
        """Revoke a token."""
        async for answer in _answered(self._revoke, request.form, context):
            yield answer

    async def GetDiscovery(
        self, request: oauth_pb2.GetDiscoveryRequest, context: Any
    ) -> oauth_pb2.GetDiscoveryResponse:
        """Tell what is offered."""
        return messages.from_discovery(self._issuer)

    async def _token(self, form: Form) -> HttpBody:
        match messages.required(form, "grant_type"):
            case messages.CLIENT_CREDENTIALS:
                return await self._exchange(form)
            case messages.REFRESH_TOKEN:
                return await self._refresh(form)
        raise GrantTypeUnsupported("grant_type must be client_credentials or refresh_token")

    async def _exchange(self, form: Form) -> HttpBody:
        credentials = messages.to_credentials(form, current_authorization()) or NOBODY
        wanted = messages.to_scopes(form)
        use_case = exchange_api_key(credentials, wanted, acting(), self._work, self._deps)
        return messages.from_machine_token(await self._done(use_case))

    async def _refresh(self, form: Form) -> HttpBody:
        if "scope" in form:
            raise messages.bad_form("scope", "cannot be narrowed at a refresh; leave it out")
        command = Refresh(messages.required(form, "refresh_token"))
        try:
            tokens = await self._done(refresh(command, acting(), self._work, self._deps))
        except Unauthenticated as refusal:
            raise GrantInvalid(refusal.message, cause=refusal.reason) from refusal
        return messages.from_tokens(tokens)

    async def _introspect(self, form: Form) -> HttpBody:
        asking = await self._organisation(form)
        if asking is None:
            raise client_invalid()
        token = messages.required(form, "token")
        found = await introspect(token, asking, self._verifier, self._work, self._deps)
        return messages.from_introspected(found, self._issuer)

    async def _revoke(self, form: Form) -> HttpBody:
        of = await self._organisation(form)
        token = messages.required(form, "token")
        await self._done(revoke_token(token, of, acting(), self._verifier, self._work, self._deps))
        return messages.from_revoked()

    async def _organisation(self, form: Form) -> OrganisationId | None:
        """The organisation of whoever calls: by a bearer token or an API key; None for nobody."""
        authorization = current_authorization()
        token = bearer_of(authorization)
        if token is not None:
            return OrganisationId((await self._verifier.verify(token)).organisation_id)
        credentials = messages.to_credentials(form, authorization)
        if credentials is None:
            return None
        try:
            machine = await self._clients.authenticate(credentials)
        except ClientInvalid:
            await check_limits("client", acting(), self._work, self._deps, account="")
            raise
        return machine.account.organisation_id


async def _answered(
    method: Callable[[Form], Awaitable[HttpBody]], body: HttpBody, context: Any
) -> AsyncIterator[HttpBody]:
    """The answer to a form; of a refusal its body, before the kit sends its status."""
    try:
        answer = await method(messages.to_form(body))
    except DomainError as refusal:
        if (told := messages.from_refusal(refusal)) is not None:
            content, challenge = told
            if challenge:
                await context.send_initial_metadata((("www-authenticate", challenge),))
            yield content
        raise
    yield answer


def add_to_server(servicer: OAuthServicer, server: grpc.aio.Server) -> None:
    """Serve the methods as streams of one answer; see above."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_stream_rpc_method_handler(
            getattr(servicer, name),
            request_deserializer=request.FromString,
            response_serializer=HttpBody.SerializeToString,
        )
        for name, request in (
            ("Token", oauth_pb2.TokenRequest),
            ("Introspect", oauth_pb2.IntrospectRequest),
            ("Revoke", oauth_pb2.RevokeRequest),
        )
    }
    handlers["GetDiscovery"] = grpc.unary_unary_rpc_method_handler(
        servicer.GetDiscovery,
        request_deserializer=oauth_pb2.GetDiscoveryRequest.FromString,
        response_serializer=oauth_pb2.GetDiscoveryResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)]
    )
