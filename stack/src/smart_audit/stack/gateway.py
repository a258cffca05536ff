"""Renders the gateway's Envoy configuration from settings and the API's own descriptors.

For the container image: `python -m smart_audit.stack.gateway render --out DIR`, with the settings
GATEWAY_* of docs/settings.md in the environment.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

from smart_audit.stack import clusters, contract, failures, limits, pages, routes, tls, watching
from smart_audit.stack.limits import RateLimits
from smart_audit.stack.problem import Problem
from smart_audit.stack.tls import LOCAL_HOSTS, Certificate, Upstream

Json = dict[str, Any]

CONFIG_NAME = "envoy.yaml"
DESCRIPTORS_NAME = "descriptors.pb"

_MIB = 1024 * 1024
_MAX_REQUEST_BYTES = 4 * _MIB
# Streams of JSON were cut off with status 200 at the smaller default.
_MAX_RESPONSE_BYTES = 64 * _MIB
_MAX_HEAP_BYTES = 1024 * _MIB


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
    rate_limits: RateLimits = field(default_factory=RateLimits)
    trusted_hops: int = 0
    """Proxies in front, whose word on the client's address is taken."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    """For those inside; 0 serves no metrics."""
    otlp_endpoint: str = ""
    """URL of the collector that takes traces; empty sends none."""
    certificate: Certificate | None = None
    """Shown to clients; None is plain HTTP."""
    upstream: Upstream | None = None
    """TLS on the way to the services."""
    endpoints_folder: Path | None = None
    """Where files say who serves (`clusters.write_endpoints`), instead of the endpoints here."""
    keys_known_first: bool = False
    """Keys come from another gateway at first, and it listens once it has them."""
    keys_cached_for: str = "60s"
    """How soon a new key of tokens is known; auth publishes one long before it signs."""
    docs: bool = True
    """Whether /docs, /redoc and /openapi.json are there."""

    @property
    def keys_socket(self) -> Path:
        """Where the gateway gives the keys of tokens to itself."""
        return self.admin_socket.with_suffix(".keys")

    @property
    def certificate_file(self) -> Path:
        """Says where the certificate is."""
        return self.admin_socket.with_suffix(".tls.json")


def descriptor_set() -> bytes:
    """Return the serialized descriptors that the transcoder works by."""
    return contract.descriptor_set()


def render(settings: GatewaySettings) -> str:
    """Return the configuration of Envoy as YAML; what it serves itself is made beside it.

    Raises: Problem.
    """
    template = Template((files("smart_audit.stack") / CONFIG_NAME).read_text(encoding="utf-8"))
    documentation = pages.prepare(settings.descriptor_file.parent) if settings.docs else []
    values = {
        "host": settings.host,
        "port": settings.port,
        "admin_socket": str(settings.admin_socket),
        "descriptor_file": str(settings.descriptor_file),
        "issuer": settings.issuer,
        "keys_socket": str(settings.keys_socket),
        "keys_method": "/smart_audit.api.auth.v1.AuthService/GetJwks",
        "transport": settings.certificate and tls.downstream(settings.certificate_file),
        "hsts": _strict_transport(settings.issuer),
        "call_timeout": f"{routes.LONGEST_CALL_S}s",
        "listen_before_keys": not settings.keys_known_first,
        "keys_cached_for": settings.keys_cached_for,
        "cors_origins": [{"exact": origin} for origin in settings.cors_origins],
        "services": contract.services(),
        "gzip": _compressor("gzip"),
        "brotli": _compressor("brotli"),
        "rate_limit": limits.filter_config(settings.rate_limits),
        "trusted_hops": settings.trusted_hops,
        "jwt_rules": routes.jwt_rules(documentation),
        "routes": routes.routes(documentation),
        "local_reply_mappers": failures.mappers(),
        "clusters": [*_clusters(settings), *_watching_clusters(settings)],
        "tracing": watching.tracing() if settings.otlp_endpoint else None,
        "max_request_bytes": _MAX_REQUEST_BYTES,
        "max_response_bytes": _MAX_RESPONSE_BYTES,
        "max_page_bytes": pages.MAX_BYTES,
        "max_heap_bytes": _MAX_HEAP_BYTES,
    }
    texts = {name: json.dumps(value) for name, value in values.items()}
    return template.substitute(texts, inside_listeners=_inside_listeners(settings))


def _watching_clusters(settings: GatewaySettings) -> list[Json]:
    found = []
    if settings.metrics_port:
        admin = clusters.by_socket(watching.ADMIN, settings.admin_socket)
        found.append(clusters.http_cluster(watching.ADMIN, admin))
    if settings.otlp_endpoint:
        found.append(watching.traces_cluster(settings.otlp_endpoint))
    return found


def _inside_listeners(settings: GatewaySettings) -> str:
    """A further item of the template's list, or a comment."""
    if not settings.metrics_port:
        return "# no port for metrics"
    listener = watching.metrics_listener(settings.metrics_host, settings.metrics_port)
    return f"- {json.dumps(listener)}"


def write(settings: GatewaySettings, folder: Path) -> Path:
    """Write configuration and descriptors into `folder` and return the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    settings.descriptor_file.write_bytes(descriptor_set())
    if settings.certificate is not None:
        tls.write_certificate(settings.certificate, settings.certificate_file)
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
    # A container listens on all its addresses: its network decides who reaches it.
    host = environment.get("GATEWAY_HOST", "0.0.0.0")  # noqa: S104
    return GatewaySettings(
        host=host,
        port=int(environment.get("GATEWAY_PORT", "8000")),
        auth_endpoints=_listed(environment["GATEWAY_AUTH_ENDPOINTS"]),
        audit_endpoints=_listed(environment["GATEWAY_AUDIT_ENDPOINTS"]),
        issuer=environment["GATEWAY_ISSUER"],
        cors_origins=_listed(environment.get("GATEWAY_CORS_ORIGINS", "http://localhost:3000")),
        rate_limits=rate_limits_from(environment),
        trusted_hops=_number(environment, "GATEWAY_TRUSTED_HOPS", 0),
        metrics_host=host,
        metrics_port=_number(environment, "GATEWAY_METRICS_PORT", 0),
        otlp_endpoint=environment.get("GATEWAY_OTLP_ENDPOINT", ""),
        docs=docs_from(environment),
        certificate=certificate_from(environment),
        upstream=_upstream(environment),
        admin_socket=folder / "admin.sock",
        descriptor_file=folder / DESCRIPTORS_NAME,
    )


def _clusters(settings: GatewaySettings) -> list[Json]:
    folder, keys = settings.endpoints_folder, clusters.KEYS
    services = {"auth": settings.auth_endpoints, "audit": settings.audit_endpoints}
    if folder is not None:
        found = {name: clusters.by_file(name, folder) for name in (*services, keys)}
    else:
        found = {name: clusters.by_dns(name, places) for name, places in services.items()}
        found[keys] = clusters.by_socket(keys, settings.keys_socket)
    grpc = [clusters.grpc_cluster(name, found[name]) for name in services]
    if settings.upstream is not None:
        for cluster, endpoints in zip(grpc, services.values(), strict=True):
            hosts = [endpoint.rpartition(":")[0].strip("[]") for endpoint in endpoints]
            cluster["transport_socket"] = tls.upstream(settings.upstream, hosts)
    return [*grpc, clusters.http_cluster(keys, found[keys])]


def _strict_transport(issuer: str) -> str:
    """For how long browsers shall come by TLS only.

    Not at all to this machine: a browser would hold all its ports to it.
    """
    parts = urlsplit(issuer)
    local = parts.hostname in (None, *LOCAL_HOSTS)
    return "" if parts.scheme != "https" or local else "max-age=31536000"


def _compressor(library: str) -> Json:
    package = f"envoy.extensions.compression.{library}.compressor.v3"
    config = "envoy.extensions.filters.http.compressor.v3.Compressor"
    # JSON, checkpoints, entry bundles.
    types = ("application/json", "text/", "application/octet-stream")
    return {
        "@type": f"type.googleapis.com/{config}",
        "response_direction_config": {
            "common_config": {
                "min_content_length": 1024,
                "content_type_matcher": [{"prefix": one} for one in types],
            }
        },
        # Of those that the client likes equally.
        "choose_first": library == "brotli",
        "compressor_library": {
            "name": library,
            "typed_config": {"@type": f"type.googleapis.com/{package}.{library.capitalize()}"},
        },
    }


def rate_limits_from(environment: Mapping[str, str | None]) -> RateLimits:
    """Read the limits per client. Raises: ValueError when one is no number."""
    default = RateLimits()
    calls = "GATEWAY_RATE_LIMIT_CALLS_PER_SECOND"
    credentials = "GATEWAY_RATE_LIMIT_CREDENTIALS_PER_MINUTE"
    return RateLimits(
        _number(environment, calls, default.calls_per_second),
        _number(environment, credentials, default.credentials_per_minute),
    )


def certificate_from(environment: Mapping[str, str | None]) -> Certificate | None:
    """Read where the certificate is. Raises: ValueError when only a part of it is named."""
    return _pair(environment, "GATEWAY_TLS_CERTIFICATE", "GATEWAY_TLS_KEY")


def _upstream(environment: Mapping[str, str]) -> Upstream | None:
    own = _pair(environment, "GATEWAY_UPSTREAM_CERTIFICATE", "GATEWAY_UPSTREAM_KEY")
    authority = environment.get("GATEWAY_UPSTREAM_CA")
    if own is not None and not authority:
        raise ValueError("GATEWAY_UPSTREAM_CERTIFICATE needs GATEWAY_UPSTREAM_CA")
    return Upstream(Path(authority), own) if authority else None


def _pair(environment: Mapping[str, str | None], chain: str, key: str) -> Certificate | None:
    found = [environment.get(name) for name in (chain, key)]
    if bool(found[0]) != bool(found[1]):
        raise ValueError(f"{chain} and {key} go together; set both")
    return Certificate(Path(found[0]), Path(found[1])) if found[0] and found[1] else None


def _number(environment: Mapping[str, str | None], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal():
        raise ValueError(f"{name} must be a whole number, and {text!r} is none")
    return int(text)


def docs_from(environment: Mapping[str, str | None]) -> bool:
    """Read whether the pages are there. Raises: ValueError for what is neither on nor off."""
    text = environment.get("GATEWAY_DOCS") or "on"
    if text not in ("on", "off"):
        raise ValueError(f"GATEWAY_DOCS must be on or off, and {text!r} is neither")
    return text == "on"


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
    except (ValueError, OSError, Problem) as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
