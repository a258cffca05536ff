"""How mail is sent, as the environment says."""

from email.utils import parseaddr
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from smart_audit.core.settings import ServiceSettings


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
