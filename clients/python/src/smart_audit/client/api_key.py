"""Exchanging an API key for access tokens (RFC 6749, section 4.4)."""

import json
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from google.api.httpbody_pb2 import HttpBody

from smart_audit.api.auth.v1 import oauth_pb2, oauth_pb2_grpc

_FORM: Final = "application/x-www-form-urlencoded"
# A token is renewed before it ends, so that no call is refused for it.
_USED_PART: Final = 0.8


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A short token, and when to get the next one on the clock of `time.monotonic`."""

    token: str = field(repr=False)
    renew_at: float


def key_id(api_key: str) -> str:
    """What it goes by, which is no secret; empty for none."""
    return api_key.rpartition("_")[0]


async def exchange(
    oauth: "oauth_pb2_grpc.OAuthServiceAsyncStub", api_key: str, timeout_s: float
) -> AccessToken:
    """A new access token for an API key, which begins with the id that it goes by.

    Raises: grpc.aio.AioRpcError.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": key_id(api_key),
        "client_secret": api_key,
    }
    asked_at = time.monotonic()
    answer = await oauth.Token(
        oauth_pb2.TokenRequest(form=HttpBody(content_type=_FORM, data=urlencode(form).encode())),
        timeout=timeout_s,
    )
    content = json.loads(answer.data)
    return AccessToken(
        content["access_token"], asked_at + _USED_PART * float(content["expires_in"])
    )
