"""Certificates for one machine: an authority of the installation's own, and what it vouches for."""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smart_audit.stack.tls import LOCAL_HOSTS, Certificate

_AUTHORITY_LIVES = timedelta(days=3650)
# Browsers refuse certificates that live longer.
_LIVES = timedelta(days=397)
# One that is about to expire is made anew at a start.
_RENEWED_BEFORE = timedelta(days=30)
_CLOCKS_DIFFER_BY = timedelta(minutes=5)


class Authority:
    """An authority in a folder; it is made when there is none yet.

    Of names it can vouch for `localhost` alone: whoever trusts it does not trust it for others.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self.certificate = folder / "ca.pem"
        self._key_file = folder / "ca.key"
        if not self.certificate.exists():
            self._make(name)

    def issue(self, name: str, hosts: tuple[str, ...] = LOCAL_HOSTS) -> Certificate:
        """A certificate for the hosts, in files of this name; the one that is there, if it is good.

        It serves at either end of a connection.
        """
        found = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        if not _is_good(found.chain, hosts):
            self._issue(found, name, hosts)
        return found

    def _make(self, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name)
        # Trusting it must not mean to trust it for the whole of the internet. Nothing is said of
        # addresses, since gRPC refuses an authority that does.
        only = x509.NameConstraints([x509.DNSName("localhost")], None)
        usage = _usage(key_cert_sign=True, crl_sign=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _dated(_AUTHORITY_LIVES)
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(only, critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256())
        )
        _write_key(self._key_file, key)
        self.certificate.write_bytes(_pem(certificate))

    def _issue(self, to: Certificate, name: str, hosts: tuple[str, ...]) -> None:
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        signer = serialization.load_pem_private_key(self._key_file.read_bytes(), None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError("the authority's key is another kind of key")
        key = ec.generate_private_key(ec.SECP256R1())
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        names = x509.SubjectAlternativeName([_named(host) for host in hosts])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        certificate = (
            _dated(_LIVES)
            .subject_name(_subject(f"Smart Audit {name}"))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .add_extension(names, critical=False)
            .add_extension(identifier, critical=False)
            .sign(signer, hashes.SHA256())
        )
        _write_key(to.key, key)
        to.chain.write_bytes(_pem(certificate))


def _is_good(file: Path, hosts: tuple[str, ...]) -> bool:
    if not file.exists():
        return False
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    expires = certificate.not_valid_after_utc - _RENEWED_BEFORE
    return set(names) == {_named(host) for host in hosts} and datetime.now(UTC) < expires


def _dated(lives: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER_BY)
        .not_valid_after(now + lives)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(**uses: bool) -> x509.KeyUsage:
    none = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**(none | uses))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
