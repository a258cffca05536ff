"""What an access token says of its holder; whether it is good the service says."""

import json
from base64 import urlsafe_b64decode
from typing import Any
from uuid import UUID


def claims_of(access_token: str) -> dict[str, Any]:
    """All that it says. Raises: ValueError when it is malformed."""
    try:
        _, claims, _ = access_token.split(".")
        said: dict[str, Any] = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        UUID(said["org"])
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError("the access token is malformed") from error
    return said


def organisation_of(access_token: str) -> str:
    """The organisation that it names; empty when it is malformed, or none."""
    try:
        return str(UUID(claims_of(access_token)["org"]))
    except ValueError:
        return ""
