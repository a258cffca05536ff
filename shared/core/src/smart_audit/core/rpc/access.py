"""The access rules that the protos declare for each method. No rule, no start."""

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor

from smart_audit.api.access.v1 import access_pb2
from smart_audit.core.errors import PermissionDenied
from smart_audit.core.tokens import Caller


class ScopeMissing(PermissionDenied):
    """The access token lacks the scope that the method needs."""

    reason = "SCOPE_MISSING"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call a method: anybody, any caller with a token, or one with a scope.

    optional: anybody, and a token that is sent is verified and tells who calls.
    """

    public: bool
    scope: str | None
    optional: bool = False

    def check(self, caller: Caller) -> None:
        """Raises: ScopeMissing."""
        if self.scope is not None and self.scope not in caller.scopes:
            raise ScopeMissing(f"the access token lacks the scope {self.scope}", scope=self.scope)


def rules_of(services: Iterable[ServiceDescriptor]) -> dict[str, Rule]:
    """The rule of each method, by full name such as `/pkg.Service/Method`.

    Raises: ValueError for a method without a rule.
    """
    rules = {}
    for service in services:
        for method in service.methods:
            access = method.GetOptions().Extensions[access_pb2.access]
            kind = access.WhichOneof("rule")
            if kind is None or not getattr(access, kind):
                raise ValueError(f"{method.full_name} declares no access rule")
            name = f"/{service.full_name}/{method.name}"
            rules[name] = Rule(
                public=kind == "public",
                scope=access.scope or None,
                optional=kind == "optional",
            )
    return rules
