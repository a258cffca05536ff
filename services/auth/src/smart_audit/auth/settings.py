"""What auth reads from its environment, each name behind `AUTH_`."""

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from smart_audit.auth.mail.settings import MailSettings
from smart_audit.auth.password_ranges import WhenAway
from smart_audit.auth.throttle import Network
from smart_audit.core.settings import SHORTEST_PASSWORD, Duration, Insecure, is_https, is_near

LOCALHOST = "localhost"


def _by_commas(value: object) -> object:
    return tuple(map(str.strip, value.split(","))) if isinstance(value, str) else value


def _networks(value: object) -> object:
    """Raises: ValueError."""
    if not isinstance(value, str):
        return value
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_by_commas)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]


def _or_none(value: object) -> object:
    """What is set to nothing is not set."""
    return value or None


class AuthSettings(MailSettings):
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
    signing_key_rotate_every: Duration = Field(
        timedelta(days=90), description="a new key signs after so long; 0 rotates by command only"
    )
    signing_key_lead: Duration = Field(
        timedelta(minutes=5),
        description="how long a new key is published before it signs; longer than anybody caches",
    )
    invitation_lifetime: Duration = Field(
        timedelta(days=7), description="how long an invitation can be accepted"
    )
    argon2_memory_kib: int = Field(19 * 1024, ge=19 * 1024, description="KiB per hash")
    argon2_passes: int = Field(2, ge=2, description="passes over the memory")
    hash_threads: int = Field(2, gt=0, description="passwords hashed at once")
    password_deny_list: Annotated[Path | None, BeforeValidator(_or_none)] = Field(
        None, description="file of passwords that nobody may choose, one a line, beside ours"
    )
    password_range_url: str = Field(
        "", description="server of breached passwords, asked as URL/PREFIX; none is asked if empty"
    )
    password_range_when_away: WhenAway = Field(
        "allow", description="allow or refuse what that server cannot be asked about"
    )
    throttle_exempt: Networks = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="networks that are not throttled by address, by commas",
    )
    hash_queue: int = Field(64, gt=0, description="passwords waiting at most; more are refused")
    redis_url: Annotated[SecretStr | None, BeforeValidator(_or_none)] = Field(
        None,
        validation_alias="REDIS_URL",
        description="redis:// or rediss:// URL; throttles are counted there, not in Postgres",
    )

    webauthn_rp_id: str = Field(
        LOCALHOST, description="domain that passkeys are made for; they work there and below"
    )
    webauthn_rp_name: str = Field(
        "Smart Audit", description="what passkeys and apps for one-time codes call the product"
    )
    webauthn_origins: Names = Field(
        ("http://localhost:8000", "http://localhost:3000"),
        description="origins of the pages that may use passkeys, by commas",
    )

    @model_validator(mode="after")
    def _origins_fit(self) -> Self:
        """Browsers know no passkeys elsewhere. Raises: ValueError."""
        for origin in self.webauthn_origins:
            parts = urlsplit(origin)
            host = parts.hostname or ""
            fits = host == self.webauthn_rp_id or host.endswith(f".{self.webauthn_rp_id}")
            safe = parts.scheme == "https" or (parts.scheme == "http" and _is_local(host))
            if not fits or not safe or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(
                    f"AUTH_WEBAUTHN_ORIGINS: {origin} must be https://host[:port] (http on "
                    f"localhost) on {self.webauthn_rp_id} or below, as AUTH_WEBAUTHN_RP_ID says"
                )
        return self

    def insecure(self) -> Iterator[Insecure]:
        """See `ServiceSettings`."""
        yield from super().insecure()
        if self.webauthn_rp_id == LOCALHOST:
            yield Insecure(
                "passkeys.domain",
                "AUTH_WEBAUTHN_RP_ID to be your domain, with AUTH_WEBAUTHN_ORIGINS on it",
            )
        elif not all(map(is_https, self.webauthn_origins)):
            yield Insecure("tls.passkeys", "AUTH_WEBAUTHN_ORIGINS to be https:// origins")
        if self.password_range_url and not is_https(self.password_range_url):
            yield Insecure("tls.password-ranges", "AUTH_PASSWORD_RANGE_URL to be an https:// URL")
        if any(network.prefixlen == 0 for network in self.throttle_exempt):
            yield Insecure(
                "throttling.exempt",
                "AUTH_THROTTLE_EXEMPT to name your own networks; this exempts everybody",
            )
        if self.redis_url is not None:
            yield from _insecure_redis(self.redis_url.get_secret_value())


def _insecure_redis(url: str) -> Iterator[Insecure]:
    parts = urlsplit(url)
    if len(parts.password or "") < SHORTEST_PASSWORD:
        yield Insecure(
            "secrets.redis-password",
            f"a password in REDIS_URL, of {SHORTEST_PASSWORD} characters or more; whoever reaches"
            " Redis can open what guessing has closed",
        )
    if parts.scheme != "rediss" and not is_near(parts.hostname or ""):
        yield Insecure("tls.redis", "REDIS_URL to be a rediss:// URL; Redis is on another machine")


def _is_local(host: str) -> bool:
    return host == LOCALHOST or host.endswith(f".{LOCALHOST}")
