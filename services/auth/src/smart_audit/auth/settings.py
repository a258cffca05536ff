"""What auth reads from its environment, each name behind `AUTH_`."""

from datetime import timedelta
from email.utils import parseaddr
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from smart_audit.auth.password_ranges import WhenAway
from smart_audit.auth.throttle import Network
from smart_audit.core.settings import Duration, ServiceSettings

LOCALHOST = "localhost"


def _by_commas(value: object) -> object:
    return tuple(map(str.strip, value.split(","))) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_by_commas)]


def _or_none(value: object) -> object:
    """What is set to nothing is not set."""
    return value or None


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
    throttle_exempt: str = Field(
        "127.0.0.0/8,::1/128", description="networks that are not throttled by address, by commas"
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

    mail_from: str = Field(
        "Smart Audit <no-reply@localhost>", description="sender of mail; its name heads each mail"
    )
    mail_dir: Path = Field(
        Path(".smart-audit/mail"), description="folder that mail is written to without SMTP server"
    )
    smtp_host: str = Field("", description="SMTP server that mail is submitted to")
    smtp_port: int = Field(587, gt=0, le=65535, description="its port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the connection is encrypted; tls is for port 465"
    )
    smtp_username: str = Field("", description="account on the server; empty sends without login")
    smtp_password: SecretStr = Field(SecretStr(""), description="its password")
    account_pages_url: str = Field(
        "", description="where links in mails lead; empty: to the service's own pages, at issuer"
    )
    require_verified_email: bool = Field(
        default=False, description="refuse logins before the e-mail address is verified"
    )

    @field_validator("throttle_exempt")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        _networks(value)
        return value

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

    def exempt_networks(self) -> list[Network]:
        """The networks that are not throttled by address."""
        return _networks(self.throttle_exempt)

    @field_validator("mail_from")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if "@" not in parseaddr(value)[1] or not value.isprintable():
            raise ValueError("must be an address, or a name and an address: Name <a@example.com>")
        return value

    @field_validator("account_pages_url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must be a URL, as in https://example.com/account")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _mail_is_safe(self) -> Self:
        if self.env != "production":
            return self
        if not self.smtp_host and "mail_dir" not in self.model_fields_set:
            raise ValueError(
                "ENV=production needs AUTH_SMTP_HOST, or AUTH_MAIL_DIR where something else takes"
                " the mail from"
            )
        if self.smtp_username and self.smtp_security == "none":
            raise ValueError(
                "ENV=production sends no password in plain text: set AUTH_SMTP_SECURITY to"
                " starttls or tls"
            )
        return self

    def pages_url(self) -> str:
        """Where links in mails lead, without a slash at the end."""
        return self.account_pages_url or f"{self.issuer.rstrip('/')}/account"


def _networks(value: str) -> list[Network]:
    """Raises: ValueError."""
    return [ip_network(network.strip()) for network in value.split(",") if network.strip()]


def _is_local(host: str) -> bool:
    return host == LOCALHOST or host.endswith(f".{LOCALHOST}")
