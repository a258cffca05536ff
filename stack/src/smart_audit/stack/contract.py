"""What the gateway needs to know of the API, read from the generated stubs themselves.

Nothing is written twice: descriptors, public paths and streaming methods follow the protos.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import (
    Descriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2

from smart_audit.api.access.v1 import access_pb2
from smart_audit.api.audit.v1 import (
    analytics_pb2,
    audit_pb2,
    event_types_pb2,
    exports_pb2,
    governance_pb2,
    saved_searches_pb2,
    search_pb2,
    tail_pb2,
    tiles_pb2,
)
from smart_audit.api.auth.v1 import (
    account_pb2,
    admin_pb2,
    auth_pb2,
    factors_pb2,
    machines_pb2,
    oauth_pb2,
    organisations_pb2,
    sessions_pb2,
)
from smart_audit.api.errors.v1 import errors_pb2

# error_details carries no service, but without it Envoy cannot print the details of an error.
_FILES: tuple[FileDescriptor, ...] = (
    auth_pb2.DESCRIPTOR,
    machines_pb2.DESCRIPTOR,
    oauth_pb2.DESCRIPTOR,
    factors_pb2.DESCRIPTOR,
    account_pb2.DESCRIPTOR,
    organisations_pb2.DESCRIPTOR,
    sessions_pb2.DESCRIPTOR,
    admin_pb2.DESCRIPTOR,
    analytics_pb2.DESCRIPTOR,
    audit_pb2.DESCRIPTOR,
    exports_pb2.DESCRIPTOR,
    governance_pb2.DESCRIPTOR,
    search_pb2.DESCRIPTOR,
    tiles_pb2.DESCRIPTOR,
    event_types_pb2.DESCRIPTOR,
    saved_searches_pb2.DESCRIPTOR,
    tail_pb2.DESCRIPTOR,
    errors_pb2.DESCRIPTOR,
    error_details_pb2.DESCRIPTOR,
)


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: its full gRPC path, its JSON paths as templates, and what it is.

    public: nobody asks for a token. optional: a token that is sent is verified. secret: its request
    has room for what no error may repeat. reads: it may be repeated, whatever became of it.
    changes: a success leaves something behind.
    """

    path: str
    json_paths: tuple[str, ...]
    public: bool
    optional: bool
    secret: bool
    reads: bool
    changes: bool
    streams: bool
    internal: bool
    """For the installation's own services; the gateway refuses it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One HTTP form of a method.

    verb: in capitals. path: a template. body: the field that the body is, `*` for all that the path
    does not name, or empty for none.
    """

    verb: str
    path: str
    body: str


def descriptor_set() -> bytes:
    """Return a serialized FileDescriptorSet of the API and all it imports, imports first."""
    ordered: dict[str, FileDescriptor] = {}

    def visit(file: FileDescriptor) -> None:
        for needed in file.dependencies:
            visit(needed)
        ordered[file.name] = file

    for file in _FILES:
        visit(file)
    found = FileDescriptorSet()
    for file in ordered.values():
        # Parsed from the bytes that the generator wrote: they keep the google.api.http options.
        found.file.add().ParseFromString(file.serialized_pb)
    return found.SerializeToString(deterministic=True)


def service_descriptors() -> list[ServiceDescriptor]:
    """Return all services."""
    return [service for file in _FILES for service in file.services_by_name.values()]


def services() -> list[str]:
    """Return the full names of all services."""
    return [service.full_name for service in service_descriptors()]


@cache
def methods() -> tuple[Method, ...]:
    """Return every method of every service."""
    return tuple(
        _method(service, method) for service in service_descriptors() for method in service.methods
    )


def bindings(method: MethodDescriptor) -> list[Binding]:
    """Return the HTTP forms of a method, in the order of the proto; the first is the main one."""
    return list(_bindings(method.GetOptions().Extensions[annotations_pb2.http]))


def path_pattern(template: str) -> str | None:
    """Return a regular expression for a path template, or None when it is a plain path.

    `{id}` and `{id=*}` stand for one segment, `{rest=**}` for the rest of the path.
    """
    parts = re.split(r"(\{[^}]*\})", template)
    if len(parts) == 1:
        return None
    variables = {True: ".+", False: "[^/]+"}
    return "".join(
        variables["**" in part] if part.startswith("{") else re.escape(part) for part in parts
    )


def path_fields(template: str) -> list[str]:
    """The fields that a path template binds, in the spelling of the protos and in that of JSON."""
    names = re.findall(r"\{([a-z0-9_]+)", template)
    return [*names, *(one for name in names if (one := _camel_case(name)) != name)]


def _camel_case(name: str) -> str:
    first, *more = name.split("_")
    return first + "".join(map(str.capitalize, more))


def _method(service: ServiceDescriptor, method: MethodDescriptor) -> Method:
    options = method.GetOptions()
    access = options.Extensions[access_pb2.access]
    rule = access.WhichOneof("rule")
    http = options.Extensions[annotations_pb2.http]
    audit = options.Extensions[access_pb2.audit]
    reads = audit.reads or http.WhichOneof("pattern") == "get"
    return Method(
        path=f"/{service.full_name}/{method.name}",
        json_paths=tuple(binding.path for binding in bindings(method)),
        public=rule == "public" and access.public,
        optional=rule == "optional" and access.optional,
        secret=_holds_secrets(method.input_type, set()),
        reads=reads,
        changes=not reads and not audit.refusals_only,
        streams=method.server_streaming or method.client_streaming,
        internal=rule == "internal",
    )


def _holds_secrets(message: Descriptor, seen: set[str]) -> bool:
    """Whether a field of the message, or of those in it, is marked as not to be shown."""
    if message.full_name in seen:
        return False
    seen.add(message.full_name)
    return any(
        field.GetOptions().debug_redact
        or (field.message_type is not None and _holds_secrets(field.message_type, seen))
        for field in message.fields
    )


def _bindings(rule: http_pb2.HttpRule) -> Iterator[Binding]:
    kind = rule.WhichOneof("pattern")
    if kind is not None:
        yield Binding(kind.upper(), getattr(rule, kind), rule.body)
    for other in rule.additional_bindings:
        yield from _bindings(other)
