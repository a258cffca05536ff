"""What every service reads from its environment."""

import base64
import binascii
import os
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)

KEY_BYTES = 32
# 32 random bytes have about 30 different ones; what was typed or filled up has few.
FEWEST_DIFFERENT_BYTES = 16
SHORTEST_PASSWORD = 16
ENCRYPTED = ("require", "verify-ca", "verify-full")


def _seconds(value: object) -> object:
    """A bare number is seconds; what has units is an ISO 8601 duration such as PT30M."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]

# Passwords that stand in the files of this repository.
PUBLIC_PASSWORDS = {"development-only", "change-me", "test-only"}
DEVELOPMENT_KEY = base64.b64encode(b"insecure key of the development!").decode()


class Insecure(NamedTuple):
    """What production refuses: the line of docs/production.md that it breaks, and the remedy."""

    line: str
    remedy: str


class ServiceSettings(BaseSettings):
    """Read once at start, frozen. A service adds its prefix and its own fields."""

    env: Literal["development", "production"] = Field(
        "development",
        validation_alias="ENV",
        description="production refuses every insecure default",
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(ge=0, le=65535, description="port to listen on; 0 takes a free one")
    database_url: SecretStr = Field(description="postgresql:// URL of the service's own role")
    migration_database_url: SecretStr | None = Field(
        None, description="postgresql:// URL of the owner; only `migrate` reads it"
    )
    database_pool_size: int = Field(10, gt=0, description="connections per process")
    key_encryption_key: SecretStr = Field(
        SecretStr(DEVELOPMENT_KEY), description="seals keys at rest; base64 of 32 bytes"
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="inside port of /metrics, /livez and /readyz; 0 serves none"
    )
    otlp_endpoint: str = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        pattern=r"^(https?://\S+)?$",
        description="URL of the OpenTelemetry collector (gRPC) that takes traces; empty sends none",
    )
    sentry_dsn: SecretStr = Field(
        SecretStr(""),
        validation_alias="SENTRY_DSN",
        description="where defects are reported; empty reports none",
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="lines for people, or JSON for machines"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="what is less is not logged"
    )
    recent_authentication: Duration = Field(
        timedelta(minutes=10), description="sensitive calls need an authentication so recent"
    )
    revocations_deaf_after: Duration = Field(
        timedelta(minutes=5), description="without word of revocations, tokens are refused then"
    )
    issuer: str = Field("http://localhost:8000", description="`iss` of access tokens")
    tls_certificate: Path | None = Field(
        None, description="PEM file of the certificate, with its chain, that the service shows"
    )
    tls_key: Path | None = Field(None, description="PEM file of the certificate's key")
    tls_client_ca: Path | None = Field(
        None, description="PEM file of who vouches for clients; each has to show a certificate then"
    )
    peer_ca: Path | None = Field(
        None, description="PEM file of who vouches for the other service; it is called by TLS then"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A file of SECRETS_DIR, named as the setting, wins over the environment."""
        folder = os.environ.get("SECRETS_DIR")
        if not folder:
            return init_settings, env_settings
        if not Path(folder).is_dir():
            raise SystemExit(f"SECRETS_DIR: {folder} is no folder")
        files = SecretsSettingsSource(settings_cls, secrets_dir=folder)
        return init_settings, files, env_settings

    @field_validator("key_encryption_key")
    @classmethod
    def _is_32_bytes(cls, value: SecretStr) -> SecretStr:
        try:
            size = len(base64.b64decode(value.get_secret_value(), validate=True))
        except binascii.Error:
            size = 0
        if size != KEY_BYTES:
            raise ValueError("must be base64 of 32 bytes; make one with `openssl rand -base64 32`")
        return value

    @field_validator("tls_certificate", "tls_key", "tls_client_ca", "peer_ca", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("TLS_CERTIFICATE and TLS_KEY go together; set both")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("TLS_CLIENT_CA needs TLS_CERTIFICATE and TLS_KEY")
        return self

    @field_validator("database_url", "migration_database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr | None) -> SecretStr | None:
        # What libpq says of a malformed one quotes it, password included.
        try:
            conninfo_to_dict(value.get_secret_value() if value else "")
        except ProgrammingError:
            raise ValueError(
                "must be a postgresql:// URL, with what is special in its password percent-encoded"
            ) from None
        return value

    @model_validator(mode="after")
    def _production_is_safe(self) -> Self:
        insecure = list(self.insecure()) if self.env == "production" else []
        if insecure:
            sentences = (f"ENV=production needs {one.remedy} [{one.line}]" for one in insecure)
            raise ValueError("\n".join(sentences))
        return self

    def insecure(self) -> Iterator[Insecure]:
        """What production refuses of these settings. A service adds its own.

        What no setting may be, wherever it runs, is a bound of the setting itself.
        """
        prefix = self.model_config.get("env_prefix", "")
        if (
            self.key_encryption_key.get_secret_value() == DEVELOPMENT_KEY
            or len(set(self.sealing_key())) < FEWEST_DIFFERENT_BYTES
        ):
            yield Insecure(
                "secrets.key-encryption-key",
                f"{prefix}KEY_ENCRYPTION_KEY, a random key of your own; make one with"
                " `openssl rand -base64 32`",
            )
        if not is_https(self.issuer):
            yield Insecure(
                "tls.issuer",
                f"{prefix}ISSUER to be an https:// URL, of the TLS in front of the gateway",
            )
        yield from self._insecure_database(f"{prefix}DATABASE_URL")
        if self.log_format != "json":
            yield Insecure("logging.json", f"{prefix}LOG_FORMAT=json, which machines can read")
        if self.log_level == "DEBUG":
            yield Insecure(
                "logging.level", f"{prefix}LOG_LEVEL of INFO or above; DEBUG is for developers"
            )
        if self.metrics_port and _is_public(self.host):
            yield Insecure(
                "network.metrics",
                f"{prefix}HOST to be a private address, or {prefix}METRICS_PORT=0; metrics are"
                " for everybody who reaches the port",
            )

    def _insecure_database(self, name: str) -> Iterator[Insecure]:
        found = conninfo_to_dict(self.database_url.get_secret_value())
        password = found.get("password")
        if password in PUBLIC_PASSWORDS:
            yield Insecure(
                "secrets.database-password", f"another password in {name}; this one is public"
            )
        elif password and len(str(password)) < SHORTEST_PASSWORD:
            yield Insecure(
                "secrets.database-password",
                f"a longer password in {name}, of {SHORTEST_PASSWORD} characters or more; make one"
                " with `openssl rand -hex 32`",
            )
        hosts = str(found.get("hostaddr") or found.get("host") or "").split(",")
        if found.get("sslmode") not in ENCRYPTED and not all(map(is_near, hosts)):
            yield Insecure(
                "tls.database",
                f"sslmode=verify-full in {name}, or require at the least; the database is on"
                " another machine",
            )

    def sealing_key(self) -> bytes:
        """The key-encryption key; 32 bytes."""
        return base64.b64decode(self.key_encryption_key.get_secret_value())


def is_https(url: str) -> bool:
    """Whether an absolute URL is one of TLS."""
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname)


def is_near(host: str) -> bool:
    """Whether what is sent to a host stays on this machine, as far as its name tells.

    A name without a dot counts: so containers call each other on a network of one machine.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return "." not in host or host.startswith("/")


def _is_public(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return False
