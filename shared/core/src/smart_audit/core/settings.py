"""What every service reads from its environment."""

import base64
import binascii
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

KEY_BYTES = 32


def _seconds(value: object) -> object:
    """A bare number is seconds; what has units is an ISO 8601 duration such as PT30M."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]

# Passwords that stand in the files of this repository.
PUBLIC_PASSWORDS = {"development-only", "change-me", "test-only"}
DEVELOPMENT_KEY = base64.b64encode(b"insecure key of the development!").decode()


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
        0, ge=0, le=65535, description="port of `GET /metrics` for Prometheus; 0 serves none"
    )
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    recent_authentication: Duration = Field(
        timedelta(minutes=10), description="sensitive calls need an authentication so recent"
    )
    revocations_deaf_after: Duration = Field(
        timedelta(minutes=5), description="without word of revocations, tokens are refused then"
    )
    issuer: str = Field("http://localhost:8000", description="`iss` of access tokens")

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

    @model_validator(mode="after")
    def _production_is_safe(self) -> Self:
        insecure = list(self.insecure()) if self.env == "production" else []
        if insecure:
            raise ValueError("\n".join(f"ENV=production needs {remedy}" for remedy in insecure))
        return self

    def insecure(self) -> Iterator[str]:
        """What production refuses of these settings: for each the remedy. A service adds its own.

        What no setting may be, wherever it runs, is a bound of the setting itself.
        """
        prefix = self.model_config.get("env_prefix", "")
        if self.key_encryption_key.get_secret_value() == DEVELOPMENT_KEY:
            yield (
                f"{prefix}KEY_ENCRYPTION_KEY, a key of your own; make one with"
                " `openssl rand -base64 32`"
            )
        if not is_https(self.issuer):
            yield f"{prefix}ISSUER to be an https:// URL, of the TLS in front of the gateway"
        if urlsplit(self.database_url.get_secret_value()).password in PUBLIC_PASSWORDS:
            yield f"another password in {prefix}DATABASE_URL; this one is public"
        if self.metrics_port and _is_public(self.host):
            yield (
                f"{prefix}HOST to be a private address, or {prefix}METRICS_PORT=0; metrics are"
                " for everybody who reaches the port"
            )

    def sealing_key(self) -> bytes:
        """The key-encryption key; 32 bytes."""
        return base64.b64decode(self.key_encryption_key.get_secret_value())


def is_https(url: str) -> bool:
    """Whether an absolute URL is one of TLS."""
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname)


def _is_public(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return False
