"""What a request to each RPC of both services looks like, for ids that may not be the caller's."""

import base64
import json
import os
from dataclasses import dataclass, fields
from typing import Any
from uuid import uuid4

Fields = dict[str, Any]
"""A request in its JSON form."""

NEVER = "2100-01-01T00:00:00Z"


@dataclass(frozen=True)
class Ids:
    """What names the things of one organisation and of its owner."""

    organisation: str
    user: str
    email: str
    session: str
    invitation: str
    service_account: str
    api_key: str
    passkey: str
    event: str
    hold: str
    export: str
    event_type: str
    """An action."""
    saved_search: str
    leaf_hash: str
    """In base64."""

    @classmethod
    def of_nothing(cls) -> "Ids":
        """Ids of the same form that name nothing."""
        made = {field.name: str(uuid4()) for field in fields(cls)}
        leaf_hash = base64.b64encode(os.urandom(32)).decode()
        return cls(**made | {"email": _address(), "leaf_hash": leaf_hash})

    def are_in(self, request: Fields) -> bool:
        """Whether a request names any of them."""
        text = json.dumps(request)
        return any(getattr(self, field.name) in text for field in fields(self))


# These may end the caller's session, change the account, or give its ownership away: each gets a
# caller of its own.
ENDS_THE_CALLER = {
    "AccountService.ChangePassword",
    "AccountService.DeleteMyAccount",
    "AuthService.Logout",
    "AuthService.Reauthenticate",
    "OrganisationService.LeaveOrganisation",
    "OrganisationService.TransferOwnership",
    "SessionService.RevokeOtherSessions",
}


# These answer an owner's own ids and those of nothing alike: a hold may wait for what comes, and
# logs without entries have keys too; the session's refresh token is not that of the request; and
# only administrators of the installation manage users.
ANSWERS_ALL_ALIKE = {
    "GovernanceService.PlaceHold",
    "OrganisationService.SwitchOrganisation",
    "TileService.GetLogKey",
    "UserAdminService.DeactivateUser",
    "UserAdminService.EndUserSessions",
    "UserAdminService.ForcePasswordReset",
    "UserAdminService.GetUser",
    "UserAdminService.Impersonate",
    "UserAdminService.ListUserEvents",
    "UserAdminService.ReactivateUser",
}


def requests(ids: Ids) -> dict[str, Fields]:
    """A valid request to each RPC, with these ids wherever an id fits. An RPC needs its line here.

    What proves by itself who calls (a password, a token, a mail to an address) is invented, since
    whoever has that of another is the other.
    """
    by_service = {
        "AuthService": _auth(),
        "AccountService": _account(),
        "FactorService": _factors(ids),
        "SessionService": {
            "ListSessions": {},
            "RevokeSession": {"session_id": ids.session},
            "RevokeOtherSessions": {},
        },
        "RevocationService": {"WatchRevocations": {}},
        "OrganisationService": _organisations(ids),
        "ServiceAccountService": _service_accounts(ids),
        "OAuthService": _oauth(),
        "UserAdminService": _user_admin(ids),
        "AnalyticsService": {"AggregateEvents": {"filter": f'actor.id="{ids.user}"'}},
        "EventService": _events(ids),
        "LogService": _log(ids),
        "TileService": _tiles(ids),
        "TailService": _tails(),
        "GovernanceService": _governance(ids),
        "SearchService": {"SearchEvents": {"query": f"by {ids.user} on {ids.event}"}},
        "ExportService": _exports(ids),
        "EventTypeService": _event_types(ids),
        "FilterService": {"CompleteFilter": {"filter": "action="}},
        "SavedSearchService": _saved_searches(ids),
    }
    return {
        f"{service}.{method}": request
        for service, methods in by_service.items()
        for method, request in methods.items()
    }


def _auth() -> dict[str, Fields]:
    email, secret = _address(), uuid4().hex
    names = {"first_name": "Eve", "last_name": "Moriarty"}
    return {
        "Signup": {"email": email, "password": secret, **names},
        "Login": {"email": email, "password": secret},
        "CompleteLogin": {"challenge": secret, "totp_code": "123456"},
        "BeginPasskeyLogin": {},
        "FinishPasskeyLogin": {"credential": {"id": secret}},
        "Reauthenticate": {"password": secret},
        "RefreshToken": {"refresh_token": secret},
        "Logout": {},
        "GetMe": {},
        "GetJwks": {},
    }


def _account() -> dict[str, Fields]:
    email, secret = _address(), uuid4().hex
    return {
        "RequestEmailVerification": {},
        "VerifyEmail": {"token": secret},
        "RequestPasswordReset": {"email": email},
        "ResetPassword": {"token": secret, "new_password": secret},
        "ChangePassword": {"current_password": secret, "new_password": secret},
        "ChangeEmail": {"new_email": email},
        "UpdateProfile": {"first_name": "Eve", "last_name": "Moriarty"},
        "ExportMyData": {},
        "DeleteMyAccount": {"confirm_email": email},
        "GetAccountPage": {"page": "verify-email"},
        "RequestLoginCode": {"email": email},
        "LoginWithCode": {"challenge": secret, "code": "123456"},
    }


def _factors(ids: Ids) -> dict[str, Fields]:
    return {
        "ListFactors": {},
        "EnrolTotp": {},
        "ConfirmTotp": {"code": "123456"},
        "RemoveTotp": {},
        "RegenerateRecoveryCodes": {},
        "BeginPasskeyRegistration": {},
        "FinishPasskeyRegistration": {"credential": {"id": "none"}, "name": "key"},
        "RenamePasskey": {"passkey_id": ids.passkey, "name": "key"},
        "RemovePasskey": {"passkey_id": ids.passkey},
    }


def _organisations(ids: Ids) -> dict[str, Fields]:
    token = uuid4().hex
    return {
        "CreateOrganisation": {"name": "Napoleon of crime"},
        "GetOrganisation": {},
        "UpdateOrganisation": {"name": "Napoleon of crime"},
        "ListOrganisations": {},
        "SwitchOrganisation": {"organisation_id": ids.organisation, "refresh_token": token},
        "ListMembers": {},
        "UpdateMember": {"user_id": ids.user, "role": "member"},
        "RemoveMember": {"user_id": ids.user},
        "LeaveOrganisation": {},
        "TransferOwnership": {"user_id": ids.user},
        "EndMemberSessions": {"user_id": ids.user},
        "CreateInvitation": {"email": ids.email, "role": "member"},
        "ListInvitations": {},
        "WithdrawInvitation": {"invitation_id": ids.invitation},
        "ResendInvitation": {"invitation_id": ids.invitation},
        "GetInvitation": {"token": token},
        "AcceptInvitation": {"token": token},
        "DeclineInvitation": {"token": token},
        "ListRoles": {},
    }


def _service_accounts(ids: Ids) -> dict[str, Fields]:
    account = {"service_account_id": ids.service_account}
    key = account | {"api_key_id": ids.api_key}
    return {
        "CreateServiceAccount": {"name": uuid4().hex, "scopes": ["events.read"]},
        "GetServiceAccount": account,
        "ListServiceAccounts": {},
        "UpdateServiceAccount": account | {"name": "spy", "scopes": ["events.read"]},
        "DisableServiceAccount": account,
        "EnableServiceAccount": account,
        "CreateApiKey": account | {"name": "spy", "expires_at": NEVER},
        "ListApiKeys": account,
        "RotateApiKey": key,
        "RevokeApiKey": key,
    }


def _oauth() -> dict[str, Fields]:
    data = base64.b64encode(f"token={uuid4().hex}".encode()).decode()
    form = {"content_type": "application/x-www-form-urlencoded", "data": data}
    return {
        "Token": {"form": form},
        "Introspect": {"form": form},
        "Revoke": {"form": form},
        "GetDiscovery": {},
    }


def _user_admin(ids: Ids) -> dict[str, Fields]:
    user = {"user_id": ids.user}
    return {
        "ListUsers": {},
        "GetUser": user,
        "DeactivateUser": user,
        "ReactivateUser": user,
        "ForcePasswordReset": user,
        "EndUserSessions": user | {"session_id": ids.session},
        "ListUserEvents": user | {"organisation_id": ids.organisation},
        "Impersonate": user | {"reason": "case 7", "minutes": 5},
        "EndImpersonation": {},
    }


def _events(ids: Ids) -> dict[str, Fields]:
    event = {
        "id": str(uuid4()),
        "organisation_id": ids.organisation,
        "action": "document.delete",
        "actor": {"id": "u_1"},
        "outcome": "OUTCOME_SUCCESS",
        "source": "editor",
    }
    return {
        "RecordEvent": {"event": event},
        "RecordEvents": {"events": [event]},
        "GetEvent": {"event_id": ids.event},
        "ListEvents": {"actor_id": ids.user},
        "DiscloseEvent": {"event_id": ids.event},
        "GetEventProof": {"event_id": ids.event},
    }


def _log(ids: Ids) -> dict[str, Fields]:
    return {
        "GetCheckpoint": {},
        "ListCheckpoints": {},
        "GetInclusionProof": {"leaf_hash": ids.leaf_hash},
        "GetConsistencyProof": {"first_size": 1},
    }


def _tiles(ids: Ids) -> dict[str, Fields]:
    log = {"organisation_id": ids.organisation}
    return {
        "GetLogCheckpoint": log,
        "GetTile": log | {"path": "entries/000.p/1"},
        "GetLogKey": log,
    }


def _tails() -> dict[str, Fields]:
    # A foreign cursor is refused: tests/audit/test_tail.py.
    return {
        "TailEvents": {},
        "TailEventsAsLines": {},
        "TailEventsAsServerSentEvents": {},
    }


def _governance(ids: Ids) -> dict[str, Fields]:
    return {
        "GetLogSettings": {},
        "UpdateLogSettings": {"settings": {}},
        "EraseSubject": {"subject": {"id": ids.user}},
        "PlaceHold": {"target_id": ids.event, "reason": "case 7"},
        "ReleaseHold": {"hold_id": ids.hold},
        "ListHolds": {},
    }


def _exports(ids: Ids) -> dict[str, Fields]:
    operation = {"operation_id": ids.export}
    return {
        "ExportEvents": {},
        "CreateExport": {},
        "GetOperation": operation,
        "ListOperations": {},
        "CancelOperation": operation,
        "DeleteOperation": operation,
        "DownloadExport": {"export_id": ids.export},
    }


def _event_types(ids: Ids) -> dict[str, Fields]:
    return {
        "UpsertEventTypes": {"event_types": [{"action": uuid4().hex}]},
        "GetEventType": {"action": ids.event_type},
        "ListEventTypes": {},
        "DeleteEventType": {"action": ids.event_type},
        "GetEventTypePolicy": {},
        "UpdateEventTypePolicy": {"policy": {}},
    }


def _saved_searches(ids: Ids) -> dict[str, Fields]:
    search = {"search_id": ids.saved_search}
    return {
        "CreateSavedSearch": {"search": {"name": uuid4().hex, "query": "who deleted the plans?"}},
        "GetSavedSearch": search,
        "ListSavedSearches": {},
        "UpdateSavedSearch": search | {"search": {"name": uuid4().hex, "shared": True}},
        "DeleteSavedSearch": search,
    }


def _address() -> str:
    return f"{uuid4().hex}@example.com"
