"""ServiceAccountService: from the wire to a use case and back."""

from typing import Any

from smart_audit.api.auth.v1 import machines_pb2, machines_pb2_grpc
from smart_audit.auth.machines import ApiKeyId, ServiceAccountId
from smart_audit.auth.messages.machines import (
    from_account,
    from_key,
    from_new_key,
    from_rotated,
    page_of,
    to_account_id,
    to_expiry,
    to_key_id,
    to_rotation,
    to_wanted,
)
from smart_audit.auth.messages.pages import to_last, to_size
from smart_audit.auth.servicer.base import Servicer, acting
from smart_audit.auth.use_cases.api_keys import (
    create_api_key,
    list_api_keys,
    revoke_api_key,
    rotate_api_key,
)
from smart_audit.auth.use_cases.service_accounts import (
    create_service_account,
    disable_service_account,
    enable_service_account,
    get_service_account,
    list_service_accounts,
    update_service_account,
)


class ServiceAccountServicer(Servicer, machines_pb2_grpc.ServiceAccountServiceServicer):
    """Service accounts and their keys."""

    async def CreateServiceAccount(
        self, request: machines_pb2.CreateServiceAccountRequest, context: Any
    ) -> Any:
        """Create a service account."""
        made = await self._done(
            create_service_account(to_wanted(request), acting(), self._work, self._deps)
        )
        return machines_pb2.CreateServiceAccountResponse(service_account=from_account(made))

    async def GetServiceAccount(
        self, request: machines_pb2.GetServiceAccountRequest, context: Any
    ) -> Any:
        """Return a service account."""
        account_id = to_account_id(request.service_account_id)
        account = await get_service_account(account_id, acting(), self._work)
        return machines_pb2.GetServiceAccountResponse(service_account=from_account(account))

    async def ListServiceAccounts(
        self, request: machines_pb2.ListServiceAccountsRequest, context: Any
    ) -> Any:
        """Return a page of service accounts."""
        place = to_last(request)
        found = await list_service_accounts(
            None if place is None else ServiceAccountId(place),
            to_size(request) + 1,
            acting(),
            self._work,
        )
        page, next_page_token = page_of(found, request)
        return machines_pb2.ListServiceAccountsResponse(
            service_accounts=map(from_account, page), next_page_token=next_page_token
        )

    async def UpdateServiceAccount(
        self, request: machines_pb2.UpdateServiceAccountRequest, context: Any
    ) -> Any:
        """Replace name and scopes."""
        account_id = to_account_id(request.service_account_id)
        changed = await self._done(
            update_service_account(account_id, to_wanted(request), acting(), self._work, self._deps)
        )
        return machines_pb2.UpdateServiceAccountResponse(service_account=from_account(changed))

    async def DisableServiceAccount(
        self, request: machines_pb2.DisableServiceAccountRequest, context: Any
    ) -> Any:
        """Refuse a service account."""
        account_id = to_account_id(request.service_account_id)
        changed = await self._done(
            disable_service_account(account_id, acting(), self._work, self._deps)
        )
        return machines_pb2.DisableServiceAccountResponse(service_account=from_account(changed))

    async def EnableServiceAccount(
        self, request: machines_pb2.EnableServiceAccountRequest, context: Any
    ) -> Any:
        """Take a service account again."""
        account_id = to_account_id(request.service_account_id)
        changed = await self._done(
            enable_service_account(account_id, acting(), self._work, self._deps)
        )
        return machines_pb2.EnableServiceAccountResponse(service_account=from_account(changed))

    async def CreateApiKey(self, request: machines_pb2.CreateApiKeyRequest, context: Any) -> Any:
        """Make a key."""
        made = await self._done(
            create_api_key(
                to_account_id(request.service_account_id),
                request.name,
                to_expiry(request),
                acting(),
                self._work,
                self._deps,
            )
        )
        return from_new_key(made)

    async def ListApiKeys(self, request: machines_pb2.ListApiKeysRequest, context: Any) -> Any:
        """Return a page of keys."""
        place = to_last(request)
        found = await list_api_keys(
            to_account_id(request.service_account_id),
            None if place is None else ApiKeyId(place),
            to_size(request) + 1,
            acting(),
            self._work,
        )
        page, next_page_token = page_of(found, request)
        return machines_pb2.ListApiKeysResponse(
            api_keys=map(from_key, page), next_page_token=next_page_token
        )

    async def RotateApiKey(self, request: machines_pb2.RotateApiKeyRequest, context: Any) -> Any:
        """Make a key that follows another one."""
        made, old = await self._done(
            rotate_api_key(to_rotation(request), acting(), self._work, self._deps)
        )
        return from_rotated(made, old)

    async def RevokeApiKey(self, request: machines_pb2.RevokeApiKeyRequest, context: Any) -> Any:
        """Refuse a key."""
        revoked = await self._done(
            revoke_api_key(
                to_account_id(request.service_account_id),
                to_key_id(request.api_key_id),
                acting(),
                self._work,
                self._deps,
            )
        )
        return machines_pb2.RevokeApiKeyResponse(api_key=from_key(revoked))
