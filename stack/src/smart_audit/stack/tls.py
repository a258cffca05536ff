"""TLS at the gateway and on the way to the services, in Envoy's words."""

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_NAME = "gateway"
_PACKAGE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
# For TLS 1.2, with forward secrecy and authenticated encryption; TLS 1.3 knows no others.
_CIPHERS = [
    f"[ECDHE-{key}-AES128-GCM-SHA256|ECDHE-{key}-CHACHA20-POLY1305]" for key in ("ECDSA", "RSA")
] + [f"ECDHE-{key}-AES256-GCM-SHA384" for key in ("ECDSA", "RSA")]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its chain, and its key; PEM files."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Upstream:
    """Who vouches for the services, and what the gateway shows them, if anything."""

    authority: Path
    own: Certificate | None


def write_certificate(certificate: Certificate, file: Path) -> None:
    """Say in a file where the certificate is. It is read anew when it is replaced there."""
    source = _files(certificate) | {"watched_directory": {"path": str(certificate.chain.parent)}}
    secret = {"@type": f"{_PACKAGE}.Secret", "name": _NAME, "tls_certificate": source}
    file.write_text(json.dumps({"resources": [secret]}), encoding="utf-8")


def downstream(certificate_file: Path) -> Json:
    """What clients are met by; certificate_file: of `write_certificate`."""
    source = {"path_config_source": {"path": str(certificate_file)}, "resource_api_version": "V3"}
    secret = {"name": _NAME, "sds_config": source}
    return _socket(
        "DownstreamTlsContext",
        {"alpn_protocols": ["h2", "http/1.1"], "tls_certificate_sds_secret_configs": [secret]},
    )


def upstream(way: Upstream, hosts: Iterable[str]) -> Json:
    """What a service is met by: its certificate has to name one of the hosts it is reached by."""
    names = [
        {"san_type": _san_type(host), "matcher": {"exact": host}} for host in sorted(set(hosts))
    ]
    known = {
        "trusted_ca": {"filename": str(way.authority)},
        "match_typed_subject_alt_names": names,
    }
    own = [_files(way.own)] if way.own else []
    return _socket(
        "UpstreamTlsContext",
        {"alpn_protocols": ["h2"], "tls_certificates": own, "validation_context": known},
    )


def _files(certificate: Certificate) -> Json:
    return {
        "certificate_chain": {"filename": str(certificate.chain)},
        "private_key": {"filename": str(certificate.key)},
    }


def _socket(context: str, common: Json) -> Json:
    parameters = {"tls_minimum_protocol_version": "TLSv1_2", "cipher_suites": _CIPHERS}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_PACKAGE}.{context}",
            "common_tls_context": common | {"tls_params": parameters},
        },
    }


def _san_type(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "DNS"
    return "IP_ADDRESS"
