"""Which paths the gateway takes, where they lead, and which of them ask for a token."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from smart_audit.stack import contract, failures, limits
from smart_audit.stack.pages import Served

Json = dict[str, Any]

LONGEST_CALL_S = 30
"""After which the gateway ends a call that is no stream."""

_ROUTE_TIMEOUT = f"{LONGEST_CALL_S}s"
# When a call is repeated: only where the request cannot have been worked on, and what only reads
# also after it may have been.
_NOT_WORKED_ON = "connect-failure,refused-stream"
_HARMLESS = f"{_NOT_WORKED_ON},reset,unavailable"
_PREVIOUS_HOSTS: Json = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {
        "@type": "type.googleapis.com/"
        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    },
}
_OFF = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
_NOT_TRANSCODED = {"envoy.filters.http.grpc_json_transcoder": _OFF}
# What anybody may ask for shall be no work: pages are compressed beforehand.
_NOT_COMPRESSED = {"gzip": _OFF, "brotli": _OFF}
_READS: Json = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
# Named, and not with a weight of 0, which refuses it.
_TAKES_GZIP: Json = {
    "name": "accept-encoding",
    "string_match": {
        "safe_regex": {"regex": r"(?i)(.*,)?\s*gzip\s*(;\s*q=(1(\.0*)?|0\.0*[1-9]\d*)\s*)?(,.*)?"}
    },
}
_TAKES_NO_GZIP: tuple[Json, ...] = (
    {"name": "accept-encoding", "present_match": True},
    _TAKES_GZIP | {"invert_match": True},
    {"name": "accept-encoding", "string_match": {"exact": "*"}, "invert_match": True},
)
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


def jwt_rules(pages: Sequence[Served]) -> list[Json]:
    """Public paths first, then those where a token is optional, and one for everything else."""
    token = {"provider_name": "auth"}
    # A token that is missing is let through, and one that is wrong is not.
    if_any = {"requires_any": {"requirements": [token, {"allow_missing": {}}]}}
    rules: list[Json] = [{"match": match} for match in _matches(lambda method: method.public)]
    rules += [{"match": {"path": path}} for path in ("/healthz", *(one.path for one in pages))]
    rules += [
        {"match": match, "requires": if_any} for match in _matches(lambda method: method.optional)
    ]
    # Methods and paths that no rule names are closed too, whatever form they are written in.
    rules.append({"match": {"prefix": "/"}, "requires": token})
    return rules


def routes(pages: Sequence[Served]) -> list[Json]:
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
    reads = [
        _service_route({"path": method.path}, _ROUTE_TIMEOUT, _HARMLESS)
        for method in contract.methods()
        if method.reads and not method.streams and not method.internal
    ]
    prefixes = ("/smart_audit.api.auth.", "/smart_audit.api.audit.")
    others = [_service_route({"prefix": prefix}, timeout=_ROUTE_TIMEOUT) for prefix in prefixes]
    for route in (*streams, *reads, *others):
        route["typed_per_filter_config"] = {"envoy.filters.http.buffer": _UNBUFFERED}
    # JSON before it is transcoded; the filters before the transcoder need a route with a cluster
    # to find their policies by. What the transcoder does not know it refuses with 404.
    json_paths = {"prefix": "/", "headers": [failures.NOT_GRPC]}
    return [
        _healthz_route(),
        *(route for page in pages for route in _page_routes(page)),
        *internal,
        *streams,
        *reads,
        *others,
        *_second_names(),
        _service_route(json_paths, timeout=_ROUTE_TIMEOUT),
        {**_NOT_FOUND, "match": {"prefix": "/"}},
    ]


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


def _service_route(match: Json, timeout: str, retry_on: str = _NOT_WORKED_ON) -> Json:
    path = str(match.get("path") or match.get("prefix"))
    retries = {
        "retry_on": retry_on,
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
        # Another worker, where there is one.
        "retry_host_predicate": [_PREVIOUS_HOSTS],
        "host_selection_retry_max_attempts": 3,
    }
    cluster = "audit" if path.startswith("/smart_audit.api.audit.") else "auth"
    return {
        "match": match,
        "route": {"cluster": cluster, "timeout": timeout, "retry_policy": retries},
    }


def _healthz_route() -> Json:
    """Says that the gateway itself lives; the transcoder would call the path unknown."""
    answer = _answer(
        {"path": "/healthz"},
        {"inline_string": '{"status":"ok"}'},
        {"content-type": "application/json"},
    )
    # Those who watch over it are no clients.
    answer["typed_per_filter_config"][limits.FILTER] = _OFF
    return answer


def _page_routes(page: Served) -> Iterator[Json]:
    """Of a page: what is compressed for those who take it, and what is not for all others.

    What there is compressed only is for all but those who take no gzip. Who says nothing takes any
    coding (RFC 9110, section 12.5.3).
    """
    compressed = page.headers | {"content-encoding": "gzip"}
    if page.body is None:
        yield _refusal({"path": page.path, "headers": [_READS, *_TAKES_NO_GZIP]}, 406)
        yield _answer({"path": page.path, "headers": [_READS]}, page.compressed, compressed)
        return
    if page.compressed is not None:
        match = {"path": page.path, "headers": [_READS, _TAKES_GZIP]}
        yield _answer(match, page.compressed, compressed)
    yield _answer({"path": page.path, "headers": [_READS]}, page.body, page.headers)


def _answer(match: Json, body: Json | None, headers: dict[str, str]) -> Json:
    return {
        "match": match,
        "direct_response": {"status": 200, "body": body},
        "response_headers_to_add": [
            {
                "header": {"key": name, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
            for name, value in headers.items()
        ],
        "typed_per_filter_config": _NOT_TRANSCODED | _NOT_COMPRESSED,
    }
