"""OAuthService: forms, JSON and the refusals of the RFCs, and the domain behind them."""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import orjson
from google.api.httpbody_pb2 import HttpBody

from smart_audit.api.auth.v1 import oauth_pb2
from smart_audit.auth.clients import NOBODY, Credentials
from smart_audit.auth.domain import RefreshToken, Session
from smart_audit.auth.errors import (
    ClientInvalid,
    GrantInvalid,
    GrantTypeUnsupported,
    ScopeInvalid,
)
from smart_audit.auth.messages.common import from_duration
from smart_audit.auth.roles import PERMISSIONS
from smart_audit.auth.use_cases.common import Tokens
from smart_audit.auth.use_cases.exchange_api_key import MachineToken
from smart_audit.core.errors import DomainError, InvalidArgument, Unauthenticated
from smart_audit.core.tokens import AUDIENCE, Caller

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
KIB = 1024
MAX_FORM = 64 * KIB
MAX_FIELDS = 20
# What a refusal repeats travels in a header.
MAX_SCOPE = 1_000
MAX_NAME = 40
BEARER = "Bearer"
BASIC = "basic "
REALM = 'realm="smart-audit"'
NOT_PLAIN = re.compile(r"[^ !#-\[\]-~]")
CLIENT_CREDENTIALS = "client_credentials"
REFRESH_TOKEN = "refresh_token"  # noqa: S105
AUTH_METHODS = ("client_secret_basic", "client_secret_post")

# RFC 6749, section 5.2, and RFC 6750, section 3.1; the first kind that fits.
CODES: Mapping[type[DomainError], str] = {
    ClientInvalid: "invalid_client",
    GrantTypeUnsupported: "unsupported_grant_type",
    GrantInvalid: "invalid_grant",
    ScopeInvalid: "invalid_scope",
    InvalidArgument: "invalid_request",
    Unauthenticated: "invalid_token",
}


def to_form(body: HttpBody) -> dict[str, str]:
    """The parameters of a form; empty ones count as left out. Raises: InvalidArgument.

    Source: RFC 6749, section 3.2.
    """
    if body.content_type.partition(";")[0].strip().lower() != FORM:
        raise bad_form("form", f"must be {FORM}")
    if len(body.data) > MAX_FORM:
        raise bad_form("form", f"must have at most {MAX_FORM // KIB} KiB")
    try:
        pairs = parse_qsl(
            body.data.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise bad_form("form", f"must be UTF-8 with at most {MAX_FIELDS} parameters") from error
    form = dict(pairs)
    if len(form) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise bad_form(repeated[:MAX_NAME], "is repeated")
    return {name: value for name, value in form.items() if value}


def required(form: Mapping[str, str], name: str) -> str:
    """A parameter that must be there. Raises: InvalidArgument."""
    if name not in form:
        raise bad_form(name, "is required")
    return form[name]


def to_scopes(form: Mapping[str, str]) -> tuple[str, ...]:
    """What a token shall be allowed; empty for all. Raises: InvalidArgument."""
    scope = form.get("scope", "")
    if len(scope) > MAX_SCOPE:
        raise bad_form("scope", f"must have at most {MAX_SCOPE} characters")
    return tuple(scope.split())


def to_credentials(form: Mapping[str, str], authorization: str) -> Credentials | None:
    """What the client authenticates by: HTTP Basic, or the form; None when it does not.

    Raises: InvalidArgument. Source: RFC 6749, section 2.3.1.
    """
    basic = authorization[: len(BASIC)].lower() == BASIC
    if not basic:
        if "client_secret" not in form:
            return None
        return Credentials(required(form, "client_id"), form["client_secret"])
    if "client_secret" in form:
        raise bad_form("client_secret", "is sent twice: in the form and by HTTP Basic")
    try:
        decoded = base64.b64decode(authorization[len(BASIC) :].strip(), validate=True).decode()
    except ValueError:
        return NOBODY
    client_id, _, secret = decoded.partition(":")
    return Credentials(unquote_plus(client_id), unquote_plus(secret))


def from_machine_token(token: MachineToken) -> HttpBody:
    """The answer to an API key (RFC 6749, section 5.1)."""
    return _json(
        {
            "access_token": token.access_token,
            "token_type": BEARER,
            "expires_in": from_duration(token.expires_in),
            "scope": " ".join(token.scopes),
        }
    )


def from_tokens(tokens: Tokens) -> HttpBody:
    """The answer to a refresh token (RFC 6749, section 6)."""
    return _json(
        {
            "access_token": tokens.access_token,
            "token_type": BEARER,
            "expires_in": from_duration(tokens.expires_in),
            "refresh_token": tokens.refresh_token,
        }
    )


def from_introspected(found: Caller | tuple[RefreshToken, Session] | None, issuer: str) -> HttpBody:
    """What a token is (RFC 7662, section 2.2)."""
    match found:
        case None:
            return _json({"active": False})
        case Caller():
            return _json(_access_token(found, issuer))
        case (token, session):
            return _json(
                {
                    "active": True,
                    "iss": issuer,
                    "sub": str(session.user_id),
                    "org": str(session.organisation_id),
                    "sid": str(session.id),
                    "exp": int(token.expires_at.timestamp()),
                }
            )


def _access_token(caller: Caller, issuer: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "active": True,
        "token_type": BEARER,
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": caller.subject,
        "org": str(caller.organisation_id),
        "scope": " ".join(sorted(caller.scopes)),
        "jti": caller.token_id,
        "iat": caller.issued_at_ms // 1000,
        "exp": caller.expires_at,
    }
    if caller.session_id is not None:
        content["sid"] = str(caller.session_id)
    if caller.is_machine:
        content["client_id"] = caller.subject
    if caller.authenticated_at is not None:
        content |= {"auth_time": caller.authenticated_at, "amr": caller.amr}
    if caller.impersonator is not None:
        content["act"] = {"sub": caller.impersonator}
    return content


def from_revoked() -> HttpBody:
    """The answer to a revocation, whatever there was to revoke (RFC 7009, section 2.2)."""
    return _json({})


def from_refusal(refusal: DomainError) -> tuple[HttpBody, str] | None:
    """The body of a refusal, and its challenge if there is one; None for what no RFC knows."""
    code = next((code for kind, code in CODES.items() if isinstance(refusal, kind)), None)
    if code is None:
        return None
    body = _json({"error": code, "error_description": _plain(refusal.message)})
    return body, _challenge(refusal, code)


def _challenge(refusal: DomainError, code: str) -> str:
    """The value of WWW-Authenticate (RFC 7617, RFC 6750)."""
    if isinstance(refusal, ClientInvalid):
        return f"Basic {REALM}"
    return f'{BEARER} {REALM}, error="{code}"' if isinstance(refusal, Unauthenticated) else ""


def _plain(text: str) -> str:
    """Without what `error_description` cannot hold (RFC 6749, section 5.2)."""
    return NOT_PLAIN.sub("'", text)


def from_discovery(issuer: str) -> oauth_pb2.GetDiscoveryResponse:
    """What is offered (RFC 8414)."""
    base = issuer.rstrip("/")
    return oauth_pb2.GetDiscoveryResponse(
        issuer=issuer,
        token_endpoint=f"{base}/oauth/token",
        jwks_uri=f"{base}/.well-known/jwks.json",
        introspection_endpoint=f"{base}/oauth/introspect",
        revocation_endpoint=f"{base}/oauth/revoke",
        scopes_supported=sorted(frozenset().union(*PERMISSIONS.values())),
        grant_types_supported=[CLIENT_CREDENTIALS, REFRESH_TOKEN],
        token_endpoint_auth_methods_supported=[*AUTH_METHODS, "none"],
        introspection_endpoint_auth_methods_supported=[*AUTH_METHODS, BEARER],
        revocation_endpoint_auth_methods_supported=[*AUTH_METHODS, "none"],
    )


def bad_form(field: str, what: str) -> InvalidArgument:
    """A refusal that names the parameter and what it needs."""
    return InvalidArgument(f"{field} {what}", fields={field: what})


def _json(content: Mapping[str, Any]) -> HttpBody:
    return HttpBody(content_type=JSON, data=orjson.dumps(content))
