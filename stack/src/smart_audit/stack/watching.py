"""What watches the gateway, in Envoy's words: the inside port of its metrics, and its traces."""

import ssl
from typing import Any
from urllib.parse import urlsplit

from smart_audit.stack.clusters import http2_cluster

Json = dict[str, Any]

ADMIN = "admin"
TRACES = "traces"
METRICS_PATH = "/stats/prometheus"
_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
    ".HttpConnectionManager"
)
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_TRACER = "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig"


def metrics_listener(host: str, port: int) -> Json:
    """Serve `GET /stats/prometheus` and `GET /ready` of the admin interface, and no more of it.

    The interface itself stays on its socket: it can stop Envoy, and shows all of its configuration.
    """
    manager = {
        "@type": _MANAGER,
        "stat_prefix": "metrics",
        "request_headers_timeout": "10s",
        "common_http_protocol_options": {"idle_timeout": "300s"},
        "route_config": {
            "name": "metrics",
            "virtual_hosts": [
                {
                    "name": "metrics",
                    "domains": ["*"],
                    "routes": [_admin_route(path) for path in (METRICS_PATH, "/ready")],
                }
            ],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": "metrics",
        "address": {"socket_address": {"address": host, "port_value": port}},
        "filter_chains": [{"filters": filters}],
    }


def tracing() -> Json:
    """Send a span of each request by OTLP, and hand the trace on to the services (W3C)."""
    service = {"envoy_grpc": {"cluster_name": TRACES}, "timeout": "5s"}
    return {
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": _TRACER,
                "grpc_service": service,
                "service_name": "smart-audit-gateway",
            },
        },
        # Envoy's own would hold queries, addresses and browsers, which are personal data.
        "custom_tags": [
            {"tag": "http.url", "value": "%PATH(NQ:ORIG_OR_PATH)%"},
            {"tag": "peer.address", "literal": {"value": "-"}},
            {"tag": "user_agent", "literal": {"value": "-"}},
        ],
    }


def traces_cluster(endpoint: str) -> Json:
    """The collector at an http:// or https:// URL. Raises: ValueError for another one."""
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("GATEWAY_OTLP_ENDPOINT must be an http:// or https:// URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    cluster = http2_cluster(TRACES, f"{host}:{parts.port or 4317}")
    if parts.scheme == "https":
        cluster["transport_socket"] = _tls(parts.hostname)
    return cluster


def _admin_route(path: str) -> Json:
    method = {"name": ":method", "string_match": {"exact": "GET"}}
    return {"match": {"path": path, "headers": [method]}, "route": {"cluster": ADMIN}}


def _tls(host: str) -> Json:
    authorities = ssl.get_default_verify_paths().cafile
    if authorities is None:
        raise ValueError("GATEWAY_OTLP_ENDPOINT is https://, and this machine trusts no authority")
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
            ".UpstreamTlsContext",
            "sni": host,
            "auto_sni_san_validation": True,
            "common_tls_context": {
                "validation_context": {"trusted_ca": {"filename": authorities}},
                "alpn_protocols": ["h2"],
            },
        },
    }
