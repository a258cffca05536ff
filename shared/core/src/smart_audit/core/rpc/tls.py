"""TLS between the services, and with the gateway: who shows what to whom."""

from pathlib import Path

import grpc

from smart_audit.core.settings import ServiceSettings


def server_credentials(settings: ServiceSettings) -> grpc.ServerCredentials | None:
    """What clients are met by; None without TLS. Raises: RuntimeError for a file that fails."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    pair = (_read(settings.tls_key), _read(settings.tls_certificate))
    clients = settings.tls_client_ca
    return grpc.ssl_server_credentials(
        [pair],
        root_certificates=None if clients is None else _read(clients),
        require_client_auth=clients is not None,
    )


def channel_credentials(settings: ServiceSettings) -> grpc.ChannelCredentials | None:
    """How the other service is called; None without TLS. Raises: RuntimeError as above.

    Its certificate has to name the host by which it is called. Ours is shown, if there is one.
    """
    if settings.peer_ca is None:
        return None
    certificate, key = settings.tls_certificate, settings.tls_key
    return grpc.ssl_channel_credentials(
        root_certificates=_read(settings.peer_ca),
        private_key=None if key is None else _read(key),
        certificate_chain=None if certificate is None else _read(certificate),
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RuntimeError(f"{file} cannot be read: {error.strerror}") from error
