"""Where the gateway is: host and port, and whether TLS leads there."""

import re
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from smart_audit.client.config_error import ConfigError

if TYPE_CHECKING:
    import grpc

DEFAULT_ADDRESS: Final = "localhost:8000"
_HTTPS: Final = "https://"
_HTTP: Final = "http://"
_TLS_PORT: Final = 443
_MAX_PORT: Final = 65535
_HOST_PORT: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/@?#\[\]]+)(:(?P<port>[0-9]+))?")
# Where systems keep the certificates they trust, unless OpenSSL knows of a file of its own.
_BUNDLES: Final = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
    Path("/etc/ssl/cert.pem"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """The gateway's host:port, as gRPC takes it, and whether to speak TLS there."""

    target: str
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `https://host[:port]`, `http://host:port` or `host:port`; the last two are plain.

        Raises: ConfigError.
        """
        tls = text.startswith(_HTTPS)
        rest = text.removeprefix(_HTTPS if tls else _HTTP).removesuffix("/")
        found = _HOST_PORT.fullmatch(rest)
        port = _port(found["port"], tls=tls) if found else 0
        if found is None or not 0 < port <= _MAX_PORT:
            raise ConfigError(f"{text!r} is not an address; write host:port or https://host[:port]")
        return cls(f"{found['host']}:{port}", tls)

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{_HTTPS}{self.target}" if self.tls else self.target

    @property
    def is_exposed(self) -> bool:
        """Whether what is sent there, tokens too, can be read on the way."""
        host = self.target.rpartition(":")[0].strip("[]")
        try:
            is_here = ip_address(host).is_loopback
        except ValueError:
            is_here = host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3
        return not (self.tls or is_here)

    @property
    def url(self) -> str:
        """As a browser takes it, without a slash at the end."""
        return f"{_HTTPS if self.tls else _HTTP}{self.target}"


def channel_credentials(ca_file: Path | None) -> "grpc.ChannelCredentials":
    """What a TLS channel trusts: the certificates in a PEM file, else those that the system does.

    Raises: ConfigError when the file cannot be read or holds no certificate.
    """
    # Who only reads an address, or a profile, need not wait for gRPC.
    import grpc  # noqa: PLC0415

    if ca_file is None:
        return grpc.ssl_channel_credentials(_system_roots())
    try:
        # gRPC would tell of a bad file by a call that fails, in words of its own.
        ssl.create_default_context(cafile=str(ca_file))
        return grpc.ssl_channel_credentials(ca_file.read_bytes())
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"CA file {ca_file}: {error}") from error


def _system_roots() -> bytes | None:
    """A PEM file; None for the certificates that come with gRPC."""
    named = ssl.get_default_verify_paths().cafile
    for path in (*([Path(named)] if named else []), *_BUNDLES):
        if path.is_file():
            return path.read_bytes()
    return None


def _port(text: str | None, *, tls: bool) -> int:
    if text is None:
        return _TLS_PORT if tls else 0
    return int(text) if len(text) <= len(str(_MAX_PORT)) else 0
