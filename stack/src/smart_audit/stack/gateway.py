"""Renders the gateway's Envoy configuration from settings and the API's own descriptors.

For the container image: `python -m smart_audit.stack.gateway render --out DIR`, with the settings
GATEWAY_HOST, GATEWAY_PORT, GATEWAY_AUTH_ENDPOINTS, GATEWAY_AUDIT_ENDPOINTS, GATEWAY_ISSUER and
GATEWAY_CORS_ORIGINS in the environment.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from smart_audit.stack import clusters, contract, failures

Json = dict[str, Any]

CONFIG_NAME = "envoy.yaml"
DESCRIPTORS_NAME = "descriptors.pb"

_MIB = 1024 * 1024
_MAX_REQUEST_BYTES = 4 * _MIB
# Streams of JSON were cut off with status 200 at the smaller default.
_MAX_RESPONSE_BYTES = 64 * _MIB
_MAX_HEAP_BYTES = 1024 * _MIB
_ROUTE_TIMEOUT = "30s"
_ROUTE_CONFIG = "type.googleapis.com/envoy.config.route.v3"
_NOT_TRANSCODED = {
    "envoy.filters.http.grpc_json_transcoder": {
        "@type": f"{_ROUTE_CONFIG}.FilterConfig",
        "disabled": True,
    }
}
# gRPC counts a message's bytes itself, and a stream cannot be gathered before it is sent on.
_UNBUFFERED = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
    "disabled": True,
}


_NOT_FOUND: Json = {
    "direct_response": {"status": 404},
    # A stream that stays open would be gathered for ever before it could be refused.
    "typed_per_filter_config": {"envoy.filters.http.buffer": _UNBUFFERED},
}


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where the gateway listens and what stands behind it; endpoints are host:port."""

    port: int
    auth_endpoints: tuple[str, ...]
    audit_endpoints: tuple[str, ...]
    issuer: str
    admin_socket: Path
    descriptor_file: Path
    host: str = "127.0.0.1"
    cors_origins: tuple[str, ...] = ("http://localhost:3000",)
    keys_cached_for: str = "60s"
    """How soon a new key of tokens is known; auth publishes one long before it signs."""


def descriptor_set() -> bytes:
    """Return the serialized descriptors that the transcoder works by."""
    return contract.descriptor_set()


def render(settings: GatewaySettings) -> str:
    """Return the configuration of Envoy as YAML."""
    template = Template((files("smart_audit.stack") / CONFIG_NAME).read_text(encoding="utf-8"))
    jwks = clusters.own_address(settings.host, settings.port)
    values = {
        "host": settings.host,
        "port": settings.port,
        "admin_socket": str(settings.admin_socket),
        "descriptor_file": str(settings.descriptor_file),
        "issuer": settings.issuer,
        "jwks_uri": f"http://{jwks}/.well-known/jwks.json",
        "keys_cached_for": settings.keys_cached_for,
        "cors_origins": [{"exact": origin} for origin in settings.cors_origins],
        "services": contract.services(),
        "jwt_rules": _jwt_rules(),
        "routes": _routes(),
        "local_reply_mappers": failures.mappers(),
        "clusters": [
            clusters.grpc_cluster("auth", settings.auth_endpoints),
            clusters.grpc_cluster("audit", settings.audit_endpoints),
            clusters.http_cluster("jwks", jwks),
        ],
        "max_request_bytes": _MAX_REQUEST_BYTES,
        "max_response_bytes": _MAX_RESPONSE_BYTES,
        "max_heap_bytes": _MAX_HEAP_BYTES,
    }
    return template.substitute({name: json.dumps(value) for name, value in values.items()})


def write(settings: GatewaySettings, folder: Path) -> Path:
    """Write configuration and descriptors into `folder` and return the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    settings.descriptor_file.write_bytes(descriptor_set())
    config = folder / CONFIG_NAME
    config.write_text(render(settings), encoding="utf-8")
    return config


def settings_from(environment: Mapping[str, str], folder: Path) -> GatewaySettings:
    """Read the settings of a gateway container, whose files lie in `folder`.

    Raises: ValueError when one is missing or malformed.
    """
    missing = [
        name
        for name in ("GATEWAY_AUTH_ENDPOINTS", "GATEWAY_AUDIT_ENDPOINTS", "GATEWAY_ISSUER")
        if not environment.get(name)
    ]
    if missing:
        raise ValueError(f"set {', '.join(missing)}")
    return GatewaySettings(
        # A container listens on all its addresses: its network decides who reaches it.
        host=environment.get("GATEWAY_HOST", "0.0.0.0"),  # noqa: S104
        port=int(environment.get("GATEWAY_PORT", "8000")),
        auth_endpoints=_listed(environment["GATEWAY_AUTH_ENDPOINTS"]),
        audit_endpoints=_listed(environment["GATEWAY_AUDIT_ENDPOINTS"]),
        issuer=environment["GATEWAY_ISSUER"],
        cors_origins=_listed(environment.get("GATEWAY_CORS_ORIGINS", "http://localhost:3000")),
        admin_socket=folder / "admin.sock",
        descriptor_file=folder / DESCRIPTORS_NAME,
    )


def _jwt_rules() -> list[Json]:
    """Public paths first, then those where a token is optional, and one for everything else."""
    token = {"provider_name": "auth"}
    # A token that is missing is let through, and one that is wrong is not.
    if_any = {"requires_any": {"requirements": [token, {"allow_missing": {}}]}}
    rules: list[Json] = [{"match": match} for match in _matches(lambda method: method.public)]
    rules.append({"match": {"path": "/healthz"}})
    rules += [
        {"match": match, "requires": if_any} for match in _matches(lambda method: method.optional)
    ]
    # Methods and paths that no rule names are closed too, whatever form they are written in.
    rules.append({"match": {"prefix": "/"}, "requires": token})
    return rules


def _matches(chosen: Callable[[contract.Method], bool]) -> list[Json]:
    """The paths of some methods, in gRPC and in JSON."""
    return [
        _path_match(path)
        for method in contract.methods()
        if chosen(method)
        for path in (method.path, *method.json_paths)
    ]


def _path_match(template: str) -> Json:
    pattern = contract.path_pattern(template)
    return {"path": template} if pattern is None else {"safe_regex": {"regex": pattern}}


def _routes() -> list[Json]:
    """Routes by native path: the transcoder has rewritten a JSON path before they are chosen."""
    internal = [
        {**_NOT_FOUND, "match": {"path": method.path}}
        for method in contract.methods()
        if method.internal
    ]
    streams = [
        _service_route({"path": method.path}, timeout="0s")
        for method in contract.methods()
        if method.streams and not method.internal
    ]
    prefixes = ("/smart_audit.api.auth.", "/smart_audit.api.audit.")
    unary = [_service_route({"prefix": prefix}, timeout=_ROUTE_TIMEOUT) for prefix in prefixes]
    for route in (*streams, *unary):
        route["typed_per_filter_config"] = {"envoy.filters.http.buffer": _UNBUFFERED}
    # JSON before it is transcoded; the filters before the transcoder need a route with a cluster
    # to find their policies by. What the transcoder does not know it refuses with 404.
    json_paths = {"prefix": "/", "headers": [failures.NOT_GRPC]}
    return [
        _healthz_route(),
        *internal,
        *streams,
        *unary,
        *_second_names(),
        _service_route(json_paths, timeout=_ROUTE_TIMEOUT),
        {**_NOT_FOUND, "match": {"prefix": "/"}},
    ]


def _second_names() -> list[Json]:
    """Refuse what the transcoder would read as another name of the same thing.

    It ignores a slash at the end, and a query parameter replaces what the path says.
    """
    slash_at_end = {"safe_regex": {"regex": ".*/"}, "headers": [failures.NOT_GRPC]}
    repeated = [
        _path_match(template) | {"query_parameters": [{"name": name, "present_match": True}]}
        for method in contract.methods()
        for template in method.json_paths
        for name in contract.path_fields(template)
    ]
    return [_refusal(slash_at_end, 404), *(_refusal(match, 400) for match in repeated)]


def _refusal(match: Json, status: int) -> Json:
    return {
        "match": match,
        "direct_response": {"status": status},
        "typed_per_filter_config": _NOT_TRANSCODED,
    }


def _service_route(match: Json, timeout: str) -> Json:
    path = str(match.get("path") or match.get("prefix"))
    retries = {
        # Only where the request cannot have been worked on.
        "retry_on": "connect-failure,refused-stream",
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
    }
    cluster = "audit" if path.startswith("/smart_audit.api.audit.") else "auth"
    return {
        "match": match,
        "route": {"cluster": cluster, "timeout": timeout, "retry_policy": retries},
    }


def _healthz_route() -> Json:
    """Says that the gateway itself lives; the transcoder would call the path unknown."""
    return {
        "match": {"path": "/healthz"},
        "direct_response": {"status": 200, "body": {"inline_string": '{"status":"ok"}'}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": "application/json"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
        "typed_per_filter_config": _NOT_TRANSCODED,
    }


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def main(arguments: list[str]) -> int:
    """Render by settings of the environment; print one sentence and return 1 when they lack."""
    parser = argparse.ArgumentParser(prog="smart_audit.stack.gateway", description=__doc__)
    render_command = parser.add_subparsers(required=True).add_parser("render")
    render_command.add_argument("--out", type=Path, required=True, help="directory to write to")
    folder = parser.parse_args(arguments).out.absolute()
    try:
        print(write(settings_from(os.environ, folder), folder))
    except (ValueError, OSError) as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
