"""What the doctor sees of a service from outside, through its gateway."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from smart_audit.cli.doctor.machine import Finding, finding
from smart_audit.client.address import Address
from smart_audit.client.settings import Settings

_LIMIT_S: Final = 5.0
_MOST_OFFSET_S: Final = 30.0
_LEAST_VALIDITY: Final = timedelta(days=14)
# Anybody may ask for it, and audit has to look for it.
_AUDIT_PATH: Final = "/v1/logs/00000000-0000-7000-8000-000000000000/key"
_AUTH_PATH: Final = "/.well-known/oauth-authorization-server"


def findings(settings: Settings, *, production: bool) -> Iterator[Finding]:
    """Whether the gateway answers, both services behind it do, and its clock is ours."""
    address = Address.parse(settings.address)
    try:
        status, headers, _ = _get(address, settings.ca_file, "/healthz")
    except ssl.SSLError as error:
        yield finding(
            "health.gateway",
            "failed",
            f"{address.url}: {error.reason or error}",
            "trust its certificate by the profile's ca_file, or have it renewed",
        )
        return
    except (OSError, http.client.HTTPException) as error:
        yield finding(
            "health.gateway",
            "failed",
            f"{address.url} does not answer: {error}",
            "start it with smart-audit up, or name another by --address or --profile",
        )
        return
    state = "ok" if status == http.client.OK else "failed"
    remedy = "" if state == "ok" else "see the gateway's log"
    yield finding("health.gateway", state, f"{address.url} says {status}", remedy)
    yield _clock(headers)
    if address.is_exposed:
        remedy = "call it by https://, and serve a certificate there"
        yield finding("tls.gateway", "warning", f"{address.url} is called without TLS", remedy)
    issuer = ""
    for service, path in (("auth", _AUTH_PATH), ("audit", _AUDIT_PATH)):
        try:
            status, _, body = _get(address, settings.ca_file, path)
            why = "" if status < http.client.INTERNAL_SERVER_ERROR else str(status)
        except (OSError, http.client.HTTPException) as error:
            body, why = b"", str(error) or type(error).__name__
        yield finding(
            "health.services",
            "failed" if why else "ok",
            f"{service} does not answer ({why})" if why else f"{service} answers",
            f"see whether {service} runs, and what its log says" if why else "",
        )
        if service == "auth":
            issuer = _issuer(body)
    if production:
        yield _tls(issuer or address.url)


def _clock(headers: Mapping[str, str]) -> Finding:
    try:
        theirs = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return finding("clock.gateway", "warning", "the gateway sends no date")
    # A Date header has no fractions.
    offset = max(0.0, abs(time.time() - theirs) - 1)
    found = f"the gateway's clock is {offset:.0f} s away from this one"
    if offset > _MOST_OFFSET_S:
        remedy = "synchronise both clocks (NTP): tokens are refused otherwise"
        return finding("clock.gateway", "failed", found, remedy)
    return finding("clock.gateway", "ok", found)


def _tls(url: str) -> Finding:
    """Whether a URL answers with a certificate that is trusted, for some time to come."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        remedy = "set GATEWAY_ISSUER to the https:// URL that people use, with TLS there"
        return finding("tls.gateway", "failed", f"the issuer is {url}", remedy)
    try:
        context = ssl.create_default_context()
        with (
            socket.create_connection((parts.hostname, parts.port or 443), _LIMIT_S) as raw,
            context.wrap_socket(raw, server_hostname=parts.hostname) as wrapped,
        ):
            certificate: Mapping[str, Any] = wrapped.getpeercert() or {}
    except OSError as error:
        remedy = "serve a certificate there that browsers accept"
        return finding("tls.gateway", "failed", f"{url}: {error}", remedy)
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    found = f"{url}: its certificate is good until {ends:%Y-%m-%d}"
    if ends - datetime.now(UTC) < _LEAST_VALIDITY:
        return finding("tls.gateway", "failed", found, "renew the certificate")
    return finding("tls.gateway", "ok", found)


def _issuer(body: bytes) -> str:
    try:
        return str(json.loads(body)["issuer"])
    except (ValueError, LookupError, TypeError):
        return ""


def _get(address: Address, ca_file: Path | None, path: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body. Raises: OSError, http.client.HTTPException."""
    connection: http.client.HTTPConnection
    if address.tls:
        context = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection(address.target, timeout=_LIMIT_S, context=context)
    else:
        connection = http.client.HTTPConnection(address.target, timeout=_LIMIT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()
    finally:
        connection.close()
