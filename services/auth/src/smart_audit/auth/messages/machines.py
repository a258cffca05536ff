"""ServiceAccountService: between protobuf and the domain."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.api.auth.v1 import machines_pb2
from smart_audit.auth.machines import ApiKey, ApiKeyId, ServiceAccount, ServiceAccountId
from smart_audit.auth.messages.common import from_time
from smart_audit.auth.messages.pages import Paged, to_next, to_size
from smart_audit.auth.use_cases.api_keys import NewApiKey, Rotation
from smart_audit.auth.use_cases.service_accounts import Wanted

DEFAULT_OVERLAP = timedelta(hours=24)

Listed = TypeVar("Listed", ServiceAccount, ApiKey)


def to_wanted(
    request: machines_pb2.CreateServiceAccountRequest | machines_pb2.UpdateServiceAccountRequest,
) -> Wanted:
    """What a service account shall be."""
    return Wanted(request.name, tuple(request.scopes))


def to_account_id(text: str) -> ServiceAccountId:
    """The id of a service account."""
    return ServiceAccountId(UUID(text))


def to_key_id(text: str) -> ApiKeyId:
    """The id of an API key."""
    return ApiKeyId(UUID(text))


def to_rotation(request: machines_pb2.RotateApiKeyRequest) -> Rotation:
    """Which key to replace, and how."""
    overlap = request.overlap.ToTimedelta() if request.HasField("overlap") else DEFAULT_OVERLAP
    return Rotation(
        to_account_id(request.service_account_id),
        to_key_id(request.api_key_id),
        overlap,
        to_expiry(request),
    )


def to_expiry(
    request: machines_pb2.CreateApiKeyRequest | machines_pb2.RotateApiKeyRequest,
) -> datetime | None:
    """When a new key shall expire."""
    return request.expires_at.ToDatetime(tzinfo=UTC) if request.HasField("expires_at") else None


def from_account(account: ServiceAccount) -> machines_pb2.ServiceAccount:
    """A service account."""
    return machines_pb2.ServiceAccount(
        id=str(account.id),
        name=account.name,
        scopes=account.scopes,
        created_at=from_time(account.created_at),
        disabled_at=_from_time_if_any(account.disabled_at),
    )


def from_key(key: ApiKey) -> machines_pb2.ApiKey:
    """What can be told of an API key."""
    return machines_pb2.ApiKey(
        id=str(key.id),
        name=key.name,
        prefix=key.prefix,
        created_at=from_time(key.created_at),
        expires_at=_from_time_if_any(key.expires_at),
        last_used_at=_from_time_if_any(key.last_used_at),
        revoked_at=_from_time_if_any(key.revoked_at),
    )


def from_new_key(made: NewApiKey) -> machines_pb2.CreateApiKeyResponse:
    """A key that was made, with its secret."""
    return machines_pb2.CreateApiKeyResponse(key=made.secret, api_key=from_key(made.key))


def from_rotated(made: NewApiKey, old: ApiKey) -> machines_pb2.RotateApiKeyResponse:
    """A key that was made, with its secret, and the one that it follows."""
    return machines_pb2.RotateApiKeyResponse(
        key=made.secret, api_key=from_key(made.key), replaced=from_key(old)
    )


def page_of(found: Sequence[Listed], request: Paged) -> tuple[Sequence[Listed], str]:
    """What was asked for of one thing more than that, and the token of the next page."""
    size = to_size(request)
    page = found[:size]
    return page, to_next(page[-1].id if len(found) > size else None, request)


def _from_time_if_any(time: datetime | None) -> Timestamp | None:
    return None if time is None else from_time(time)
