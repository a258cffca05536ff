"""What auth reads from its environment, each name behind `AUTH_`."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from smart_audit.core.settings import Duration, ServiceSettings


class AuthSettings(ServiceSettings):
    """Read once at start, frozen."""

    model_config = SettingsConfigDict(env_prefix="AUTH_", frozen=True, extra="ignore")

    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    audit_address: str = Field(
        "127.0.0.1:50052", description="host:port of audit; several IP addresses by commas"
    )
    access_token_lifetime: Duration = Field(
        timedelta(minutes=30), description="how long an access token is good, whatever happens"
    )
    refresh_token_lifetime: Duration = Field(
        timedelta(days=14), description="a session unused for so long ends"
    )
    session_lifetime: Duration = Field(
        timedelta(days=30), description="a session ends after so long, used or not"
    )
    refresh_grace: Duration = Field(
        timedelta(seconds=10), description="how long a spent refresh token gives its successor"
    )
    argon2_memory_kib: int = Field(19 * 1024, ge=19 * 1024, description="KiB per hash")
    argon2_passes: int = Field(2, ge=2, description="passes over the memory")
    hash_threads: int = Field(2, gt=0, description="passwords hashed at once")
    hash_queue: int = Field(64, gt=0, description="passwords waiting at most; more are refused")
