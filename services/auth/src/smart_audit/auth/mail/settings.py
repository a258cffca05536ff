"""How mail is sent, as the environment says."""

from collections.abc import Iterator
from email.utils import parseaddr
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from smart_audit.core.settings import Insecure, ServiceSettings, is_https

LOOPBACK = ("", "localhost", "127.0.0.1", "::1")


class MailSettings(ServiceSettings):
    """What `AuthSettings` has to say of mail."""

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

    def insecure(self) -> Iterator[Insecure]:
        """See `ServiceSettings`."""
        yield from super().insecure()
        if not self.smtp_host and "mail_dir" not in self.model_fields_set:
            yield Insecure(
                "mail.delivery",
                "AUTH_SMTP_HOST, or AUTH_MAIL_DIR where something else takes the mail from",
            )
        if self.smtp_host not in LOOPBACK and self.smtp_security == "none":
            yield Insecure(
                "tls.mail",
                "AUTH_SMTP_SECURITY to be starttls or tls; mails carry links that log people in",
            )
        if self.account_pages_url and not is_https(self.account_pages_url):
            yield Insecure("tls.account-pages", "AUTH_ACCOUNT_PAGES_URL to be an https:// URL")

    def pages_url(self) -> str:
        """Where links in mails lead, without a slash at the end."""
        return self.account_pages_url or f"{self.issuer.rstrip('/')}/account"
