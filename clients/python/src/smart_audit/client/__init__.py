"""Talking to Smart Audit from Python.

    from smart_audit.client import Client

    with Client.from_env() as client:
        client.events.record("document.delete", "u_1", targets=[{"id": "d_1", "type": "document"}])

`Client` is for programs without an event loop, `AsyncClient` for those with one; `Recorder` records
in the background and never stands in a program's way. docs/sdk says how to use them.

The command line stands on this package, and this package knows nothing of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from smart_audit.client.aio import AsyncClient, RawResponse
    from smart_audit.client.config_error import ConfigError
    from smart_audit.client.errors import (
        CallError,
        Conflict,
        DataLoss,
        InvalidArgument,
        NotFound,
        PermissionDenied,
        PreconditionFailed,
        RateLimited,
        Unauthenticated,
        Unavailable,
    )
    from smart_audit.client.events import Outcome, new_event
    from smart_audit.client.export import ExportBroken
    from smart_audit.client.profiles import Credentials, Profile, Profiles
    from smart_audit.client.recorder import Counters, Drop, Recorder
    from smart_audit.client.settings import Settings
    from smart_audit.client.sync import Client
    from smart_audit.client.verification import SignedCheckpoint, VerificationError
    from smart_audit.client.verified import VerifiedEvent, VerifiedLog

# A program that only mentions the package starts without gRPC and the stubs.
_HOMES: Final = {
    "AsyncClient": "aio",
    "CallError": "errors",
    "Client": "sync",
    "ConfigError": "config_error",
    "Conflict": "errors",
    "Counters": "recorder",
    "Credentials": "profiles",
    "DataLoss": "errors",
    "Drop": "recorder",
    "ExportBroken": "export",
    "InvalidArgument": "errors",
    "NotFound": "errors",
    "Outcome": "events",
    "PermissionDenied": "errors",
    "PreconditionFailed": "errors",
    "Profile": "profiles",
    "Profiles": "profiles",
    "RateLimited": "errors",
    "RawResponse": "aio",
    "Recorder": "recorder",
    "Settings": "settings",
    "SignedCheckpoint": "verification",
    "Unauthenticated": "errors",
    "Unavailable": "errors",
    "VerificationError": "verification",
    "VerifiedEvent": "verified",
    "VerifiedLog": "verified",
    "new_event": "events",
}

__all__ = [
    "AsyncClient",
    "CallError",
    "Client",
    "ConfigError",
    "Conflict",
    "Counters",
    "Credentials",
    "DataLoss",
    "Drop",
    "ExportBroken",
    "InvalidArgument",
    "NotFound",
    "Outcome",
    "PermissionDenied",
    "PreconditionFailed",
    "Profile",
    "Profiles",
    "RateLimited",
    "RawResponse",
    "Recorder",
    "Settings",
    "SignedCheckpoint",
    "Unauthenticated",
    "Unavailable",
    "VerificationError",
    "VerifiedEvent",
    "VerifiedLog",
    "new_event",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
