"""The rules that the protos declare for each method. No rule, no start."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from smart_audit.api.access.v1 import access_pb2
from smart_audit.core.errors import PermissionDenied, Unauthenticated
from smart_audit.core.tokens import Caller


class ScopeMissing(PermissionDenied):
    """The access token lacks the scope that the method needs."""

    reason = "SCOPE_MISSING"


class PersonRequired(PermissionDenied):
    """Only a person may do this, no service account."""

    reason = "PERSON_REQUIRED"


class ImpersonationForbidden(PermissionDenied):
    """An administrator who acts as somebody may not do this."""

    reason = "IMPERSONATION_FORBIDDEN"


class ReauthenticationRequired(Unauthenticated):
    """The caller has authenticated too long ago for this (as in RFC 9470)."""

    reason = "REAUTHENTICATION_REQUIRED"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call a method, and what the audit log says of its calls.

    public: anybody, without a token. optional: anybody, and a token that is sent is verified.
    refusals_only: a success changes nothing. reads: it changes nothing and is recorded as a read;
    always: whatever the log's settings say.
    """

    public: bool
    scope: str | None
    optional: bool = False
    person: bool = False
    recent: bool = False
    own_name: bool = False
    action: str = ""
    refusals_only: bool = True
    reads: bool = False
    always: bool = False

    def check(self, caller: Caller, recent: timedelta) -> None:
        """Decide about a caller; `recent`: how long ago a recent authentication may be.

        Raises: ScopeMissing, PersonRequired, ImpersonationForbidden, ReauthenticationRequired.
        """
        if self.scope is not None:
            require_scope(caller, self.scope)
        if (self.person or self.recent) and not caller.is_person:
            raise PersonRequired("only a person may do this; log in as a user")
        if (self.own_name or self.recent) and caller.impersonator is not None:
            raise ImpersonationForbidden("this cannot be done in the name of somebody else")
        if self.recent:
            _check_recent(caller, recent)


def require_scope(caller: Caller, scope: str) -> None:
    """Raises: ScopeMissing."""
    if scope not in caller.scopes:
        raise ScopeMissing(f"the access token lacks the scope {scope}", scope=scope)


def _check_recent(caller: Caller, recent: timedelta) -> None:
    max_age_s = int(recent.total_seconds())
    if caller.authenticated_at is None or time.time() - caller.authenticated_at > max_age_s:
        raise ReauthenticationRequired(
            f"this needs an authentication within the last {max_age_s} seconds; authenticate again",
            max_age_s=str(max_age_s),
        )


def rules_of(services: Iterable[ServiceDescriptor]) -> dict[str, Rule]:
    """The rule of each method, by full name such as `/pkg.Service/Method`.

    Raises: ValueError for a method without an access rule or an audit action.
    """
    return {
        f"/{service.full_name}/{method.name}": _rule(method)
        for service in services
        for method in service.methods
    }


def _rule(method: MethodDescriptor) -> Rule:
    access = method.GetOptions().Extensions[access_pb2.access]
    audit = method.GetOptions().Extensions[access_pb2.audit]
    kind = access.WhichOneof("rule")
    if kind is None or not getattr(access, kind):
        raise ValueError(f"{method.full_name} declares no access rule")
    if not audit.action:
        raise ValueError(f"{method.full_name} declares no audit action")
    return Rule(
        public=kind in ("public", "internal"),
        scope=access.scope or None,
        optional=kind == "optional",
        person=access.person,
        recent=access.recent,
        own_name=access.own_name,
        action=audit.action,
        refusals_only=audit.refusals_only or audit.reads,
        reads=audit.reads,
        always=audit.always,
    )
