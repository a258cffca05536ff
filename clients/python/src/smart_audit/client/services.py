"""The API's services as gRPC knows them: what a call of `Connection.call` names."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import grpc.aio

if TYPE_CHECKING:
    from smart_audit.api.audit.v1 import (
        analytics_pb2_grpc,
        audit_pb2_grpc,
        event_types_pb2_grpc,
        exports_pb2_grpc,
        governance_pb2_grpc,
        saved_searches_pb2_grpc,
        search_pb2_grpc,
        tail_pb2_grpc,
        tiles_pb2_grpc,
    )
    from smart_audit.api.auth.v1 import (
        account_pb2_grpc,
        admin_pb2_grpc,
        auth_pb2_grpc,
        factors_pb2_grpc,
        machines_pb2_grpc,
        oauth_pb2_grpc,
        organisations_pb2_grpc,
        sessions_pb2_grpc,
    )


_PLACES: Final = {
    "events": ("audit.v1.audit", "EventService"),
    "log": ("audit.v1.audit", "LogService"),
    "tiles": ("audit.v1.tiles", "TileService"),
    "tails": ("audit.v1.tail", "TailService"),
    "search": ("audit.v1.search", "SearchService"),
    "saved_searches": ("audit.v1.saved_searches", "SavedSearchService"),
    "analytics": ("audit.v1.analytics", "AnalyticsService"),
    "exports": ("audit.v1.exports", "ExportService"),
    "event_types": ("audit.v1.event_types", "EventTypeService"),
    "filters": ("audit.v1.event_types", "FilterService"),
    "governance": ("audit.v1.governance", "GovernanceService"),
    "auth": ("auth.v1.auth", "AuthService"),
    "oauth": ("auth.v1.oauth", "OAuthService"),
    "account": ("auth.v1.account", "AccountService"),
    "sessions": ("auth.v1.sessions", "SessionService"),
    "factors": ("auth.v1.factors", "FactorService"),
    "organisations": ("auth.v1.organisations", "OrganisationService"),
    "service_accounts": ("auth.v1.machines", "ServiceAccountService"),
    "users": ("auth.v1.admin", "UserAdminService"),
}


class Services:
    """The stubs of one channel. Each is imported when it is first asked for: a start is quicker."""

    events: "audit_pb2_grpc.EventServiceAsyncStub"
    """Records events and reads them back."""
    log: "audit_pb2_grpc.LogServiceAsyncStub"
    """Proves what the log holds."""
    tiles: "tiles_pb2_grpc.TileServiceAsyncStub"
    """The log as files."""
    tails: "tail_pb2_grpc.TailServiceAsyncStub"
    """Follows the log as it grows."""
    search: "search_pb2_grpc.SearchServiceAsyncStub"
    """Finds events by words."""
    saved_searches: "saved_searches_pb2_grpc.SavedSearchServiceAsyncStub"
    """Searches that are kept."""
    analytics: "analytics_pb2_grpc.AnalyticsServiceAsyncStub"
    """Counts events."""
    exports: "exports_pb2_grpc.ExportServiceAsyncStub"
    """Events as files."""
    event_types: "event_types_pb2_grpc.EventTypeServiceAsyncStub"
    """What kinds of events mean."""
    filters: "event_types_pb2_grpc.FilterServiceAsyncStub"
    """Checks filters, and completes them."""
    governance: "governance_pb2_grpc.GovernanceServiceAsyncStub"
    """Retention, holds and erasure."""
    auth: "auth_pb2_grpc.AuthServiceAsyncStub"
    """Signup, login and tokens."""
    oauth: "oauth_pb2_grpc.OAuthServiceAsyncStub"
    """Tokens for machines."""
    account: "account_pb2_grpc.AccountServiceAsyncStub"
    """The caller's own account."""
    sessions: "sessions_pb2_grpc.SessionServiceAsyncStub"
    """The caller's sessions."""
    factors: "factors_pb2_grpc.FactorServiceAsyncStub"
    """Second factors."""
    organisations: "organisations_pb2_grpc.OrganisationServiceAsyncStub"
    """Organisations, members and invitations."""
    service_accounts: "machines_pb2_grpc.ServiceAccountServiceAsyncStub"
    """Service accounts and API keys."""
    users: "admin_pb2_grpc.UserAdminServiceAsyncStub"
    """All users, for administrators of the installation."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"there is no service {name!r}")
        proto, service = _PLACES[name]
        module = import_module(f"smart_audit.api.{proto}_pb2_grpc")
        stub = getattr(module, f"{service}Stub")(self._channel)
        setattr(self, name, stub)
        return stub
