"""What every service reads from its environment."""

import base64
import binascii
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

KEY_BYTES = 32


def _seconds(value: object) -> object:
    """A bare number is seconds; what has units is an ISO 8601 duration such as PT30M."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]

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
        if self.env == "production" and (
            self.key_encryption_key.get_secret_value() == DEVELOPMENT_KEY
        ):
            name = f"{self.model_config.get('env_prefix', '')}KEY_ENCRYPTION_KEY"
            raise ValueError(
                f"ENV=production needs {name}; make one with `openssl rand -base64 32`"
            )
        return self

    def sealing_key(self) -> bytes:
        """The key-encryption key; 32 bytes."""
        return base64.b64decode(self.key_encryption_key.get_secret_value())
