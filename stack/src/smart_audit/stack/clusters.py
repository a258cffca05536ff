"""What stands behind the gateway, in Envoy's words."""

from typing import Any

from smart_audit.stack import ports

Json = dict[str, Any]

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Envoy's default of 1024 requests at a time is less than a few busy streams of a large client.
_MAX_REQUESTS = 8192
# What a stream whose client does not read may hold here. All calls to a worker share a connection,
# and by Envoy's defaults two such streams would use its window up and hold up all the others.
_STREAM_WINDOW_BYTES = 256 * 1024
_CONNECTION_WINDOW_BYTES = _MAX_REQUESTS * _STREAM_WINDOW_BYTES - 1


def own_address(host: str, port: int) -> str:
    """Return host:port by which the gateway reaches its own listener."""
    return ports.joined(ports.reachable(host), port)


def grpc_cluster(name: str, endpoints: tuple[str, ...]) -> Json:
    """A service: HTTP/2, the least busy worker first, its health asked by gRPC.

    Raises: ValueError when an endpoint is not host:port.
    """
    limits = {"max_requests": _MAX_REQUESTS, "max_pending_requests": _MAX_REQUESTS}
    protocol = {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": {
            "http2_protocol_options": {
                "connection_keepalive": {"interval": "30s", "timeout": "10s"},
                "initial_stream_window_size": _STREAM_WINDOW_BYTES,
                "initial_connection_window_size": _CONNECTION_WINDOW_BYTES,
            }
        },
    }
    return _cluster(name, endpoints) | {
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {_HTTP_OPTIONS: protocol},
        "circuit_breakers": {"thresholds": [limits]},
        "health_checks": [_health_check()],
    }


def http_cluster(name: str, endpoint: str) -> Json:
    """A plain HTTP/1.1 server."""
    return _cluster(name, (endpoint,))


def _cluster(name: str, endpoints: tuple[str, ...]) -> Json:
    """Names are looked up again and again, so that containers may come and go."""
    places = [{"endpoint": {"address": _address(endpoint)}} for endpoint in endpoints]
    return {
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": places}]},
    }


def _address(endpoint: str) -> Json:
    host, separator, port = endpoint.rpartition(":")
    if not separator or not port.isdigit():
        raise ValueError(f"an endpoint must be host:port, and {endpoint!r} is not")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def _health_check() -> Json:
    return {
        "timeout": "2s",
        "interval": "5s",
        # A worker that starts, or starts again, is found within half a second.
        "unhealthy_interval": "0.5s",
        "no_traffic_interval": "1s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }
