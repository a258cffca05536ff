"""What stands behind the gateway, in Envoy's words."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Json = dict[str, Any]

KEYS = "keys"
_ASSIGNMENT = "envoy.config.endpoint.v3.ClusterLoadAssignment"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Envoy's default of 1024 requests at a time is less than a few busy streams of a large client.
_MAX_REQUESTS = 8192
# What a stream whose client does not read may hold here. All calls to a worker share a connection,
# and by Envoy's defaults two such streams would use its window up and hold up all the others.
_STREAM_WINDOW_BYTES = 256 * 1024
_CONNECTION_WINDOW_BYTES = _MAX_REQUESTS * _STREAM_WINDOW_BYTES - 1
# Who answers its health checks and yet hangs up on calls, or leaves them waiting, is left alone for
# a while. What a service itself answers with does not count, not even UNAVAILABLE or a deadline: a
# client could ask for such answers until a worker that is well is left alone.
_OUTLIERS: Json = {
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 5,
    # Who takes connections and hangs up: each connection counts as a success, and each call that
    # was on it as a failure.
    "failure_percentage_threshold": 40,
    "failure_percentage_minimum_hosts": 2,
    "failure_percentage_request_volume": 5,
    "enforcing_failure_percentage_local_origin": 100,
    "enforcing_local_origin_success_rate": 0,
    "enforcing_consecutive_5xx": 0,
    "enforcing_success_rate": 0,
    "interval": "1s",
    "base_ejection_time": "2s",
    "max_ejection_time": "30s",
    "max_ejection_percent": 50,
    # It is well by its health checks all the time.
    "successful_active_health_check_uneject_host": False,
}


def grpc_cluster(name: str, found: Json) -> Json:
    """A service: HTTP/2, the least busy worker first, its health asked by gRPC.

    found: how its workers are found, of `by_dns` or `by_file`.
    """
    limits = {
        "max_requests": _MAX_REQUESTS,
        "max_pending_requests": _MAX_REQUESTS,
        # A worker that ends has many calls to hand on at once; the default is three.
        "retry_budget": {"budget_percent": {"value": 25}, "min_retry_concurrency": 100},
    }
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
    return _cluster(name, found) | {
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {_HTTP_OPTIONS: protocol},
        "circuit_breakers": {"thresholds": [limits]},
        "health_checks": [_health_check()],
        "outlier_detection": _OUTLIERS,
        "common_lb_config": {
            # A worker that says it does not serve gets no call, even if no other is left.
            "healthy_panic_threshold": {"value": 0},
            # What is found out of one counts at once: by default it waits a second for more of it.
            "update_merge_window": "0s",
        },
    }


def http2_cluster(name: str, endpoint: str) -> Json:
    """An HTTP/2 server without a health check. Raises: ValueError when it is not host:port."""
    protocol = {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    options = {_HTTP_OPTIONS: protocol}
    found = by_dns(name, (endpoint,))
    return _cluster(name, found) | {"typed_extension_protocol_options": options}


def http_cluster(name: str, found: Json) -> Json:
    """An HTTP/1.1 server."""
    return _cluster(name, found)


def by_dns(name: str, endpoints: Iterable[str]) -> Json:
    """Names are looked up again and again, so that containers may come and go.

    Raises: ValueError when an endpoint is not host:port.
    """
    places = [_place(_address(endpoint)) for endpoint in endpoints]
    return {
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "load_assignment": _assignment(name, places),
    }


def by_socket(name: str, socket: Path) -> Json:
    """One server on a unix socket."""
    return {"type": "STATIC", "load_assignment": _assignment(name, [_place(_pipe(socket))])}


def by_file(name: str, folder: Path) -> Json:
    """Whoever was written last into the folder, by `write_endpoints` or `write_keys_sockets`."""
    source = {"path": str(_file(name, folder)), "watched_directory": {"path": str(folder)}}
    return {
        "type": "EDS",
        "eds_cluster_config": {
            "service_name": name,
            "eds_config": {"resource_api_version": "V3", "path_config_source": source},
        },
        # Who is taken off the list gets no call any more, however healthy; what it is at, it ends.
        "ignore_health_on_host_removal": True,
    }


def write_endpoints(
    folder: Path, name: str, endpoints: Iterable[str], leaving: Iterable[str] = ()
) -> None:
    """Say who serves a cluster from now on: host:port each. A running Envoy follows at once.

    leaving: who gets no new calls, and ends what it is at.
    """
    places = [_place(_address(one)) for one in endpoints]
    places += [_place(_address(one)) | {"health_status": "DRAINING"} for one in leaving]
    _write(folder, name, places)


def write_keys_sockets(folder: Path, sockets: Iterable[Path]) -> None:
    """Say from which gateways the keys of tokens come from now on; each is asked in turn."""
    _write(folder, KEYS, [_place(_pipe(socket)) for socket in sockets])


def _write(folder: Path, name: str, places: list[Json]) -> None:
    assignment = _assignment(name, places)
    resources = [{"@type": f"type.googleapis.com/{_ASSIGNMENT}"} | assignment]
    file = _file(name, folder)
    draft = file.with_suffix(".tmp")
    draft.write_text(json.dumps({"resources": resources}), encoding="utf-8")
    # Envoy watches for the name: it sees all of the file or none.
    draft.replace(file)


def _file(name: str, folder: Path) -> Path:
    return folder / f"{name}.json"


def _cluster(name: str, found: Json) -> Json:
    return {"name": name, "connect_timeout": "1s"} | found


def _assignment(name: str, places: list[Json]) -> Json:
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": places}]}


def _place(address: Json) -> Json:
    return {"endpoint": {"address": address}}


def _pipe(path: Path) -> Json:
    return {"pipe": {"path": str(path)}}


def _address(endpoint: str) -> Json:
    host, separator, port = endpoint.rpartition(":")
    if not separator or not port.isdigit():
        raise ValueError(f"an endpoint must be host:port, and {endpoint!r} is not")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def _health_check() -> Json:
    return {
        # A machine that is too busy for an answer is no reason to take its only worker away: who is
        # gone refuses connections, and who does not serve says so. Both are known at once.
        "timeout": "5s",
        "interval": "5s",
        # A worker that starts, or starts again, is found within half a second.
        "unhealthy_interval": "0.5s",
        "no_traffic_interval": "1s",
        "unhealthy_threshold": 3,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }
