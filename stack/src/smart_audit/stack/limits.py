"""How many calls the gateway takes from one client, in Envoy's words.

A client is an IPv4 address, or the /64 of an IPv6 address: whoever has one address of it has all.
"""

import re
from dataclasses import dataclass
from typing import Any

from smart_audit.stack import contract

Json = dict[str, Any]

FILTER = "envoy.filters.http.local_ratelimit"
_CONFIG = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_CLIENT: Json = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
# Without a value: each client has a bucket of its own.
_EACH = {"key": "masked_remote_address"}
_CREDENTIALS, _YES = "credentials", "yes"
# Clients counted at the same time; the one not seen for longest starts anew when there are more.
_MAX_CLIENTS = 10_000
# Envoy wants a limit for what has no other. Nothing reaches this one.
_NONE = {"max_tokens": 2**32 - 1, "tokens_per_fill": 2**32 - 1, "fill_interval": "1s"}


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Calls that one client may make; 0 does not limit. As many may come at once."""

    calls_per_second: int = 1000
    credentials_per_minute: int = 600
    """Of these, the calls without a token that change something: signups, logins, resets of
    passwords, exchanges for tokens."""


def filter_config(limits: RateLimits) -> Json:
    """The filter that refuses what is too much, with 429."""
    rules = [
        rule(calls)
        for rule, calls in (
            (_call_limit, limits.calls_per_second),
            (_credential_limit, limits.credentials_per_minute),
        )
        if calls
    ]
    share = {"default_value": {"numerator": 100 if rules else 0, "denominator": "HUNDRED"}}
    return {
        "@type": f"type.googleapis.com/{_CONFIG}",
        "stat_prefix": "rate_limit",
        "token_bucket": _NONE,
        "always_consume_default_token_bucket": False,
        "filter_enabled": share,
        "filter_enforced": share,
        "rate_limited_as_resource_exhausted": True,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "max_dynamic_descriptors": _MAX_CLIENTS,
        "rate_limits": [name for names, _ in rules for name in names],
        "descriptors": [limit for _, limit in rules],
    }


def _call_limit(calls: int) -> tuple[list[Json], Json]:
    """How a call is named to be counted, and the limit of what is named so."""
    return [{"actions": [_CLIENT]}], {"entries": [_EACH], "token_bucket": _bucket(calls, "1s")}


def _credential_limit(calls: int) -> tuple[list[Json], Json]:
    entries = [{"key": _CREDENTIALS, "value": _YES}, _EACH]
    names = [{"actions": [_asks_for(path), _CLIENT]} for path in credential_paths()]
    return names, {"entries": entries, "token_bucket": _bucket(calls, "60s")}


def credential_paths() -> list[str]:
    """The paths of calls without a token that change something."""
    return [
        path
        for method in contract.methods()
        if method.public and method.changes
        for path in (method.path, *method.json_paths)
    ]


def _asks_for(path: str) -> Json:
    """Match a path, whatever query follows. Routes are of no use here: JSON has one for all."""
    pattern = contract.path_pattern(path) or re.escape(path)
    header = {"name": ":path", "string_match": {"safe_regex": {"regex": f"{pattern}(\\?.*)?"}}}
    return {
        "header_value_match": {
            "descriptor_key": _CREDENTIALS,
            "descriptor_value": _YES,
            "headers": [header],
        }
    }


def _bucket(calls: int, interval: str) -> Json:
    return {"max_tokens": calls, "tokens_per_fill": calls, "fill_interval": interval}
