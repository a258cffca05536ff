"""Mail by SMTP submission (RFC 6409)."""

from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal

import aiosmtplib

from smart_audit.auth.mail.sending import MailDelayed, MailRefused

TIMEOUT_S = 20
PERMANENT = range(500, 600)

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is submitted, and as whom. `security`: by STARTTLS, by TLS at once, or plain."""

    host: str
    port: int
    security: Security
    username: str = ""
    password: str = field(default="", repr=False)


class SmtpMailer:
    """Submits each mail in a connection of its own."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def send(self, message: EmailMessage) -> None:
        """Submit a message; certificates are verified."""
        server = self._server
        try:
            await aiosmtplib.send(
                message,
                hostname=server.host,
                port=server.port,
                username=server.username or None,
                password=server.password or None,
                use_tls=server.security == "tls",
                start_tls=server.security == "starttls",
                timeout=TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = {refused.code for refused in error.recipients}
            raise _failure(codes.pop() if len(codes) == 1 else 0, "recipient refused") from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise _failure(error.code, "message refused") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            # A server that is away or misconfigured is away for all mails: they wait.
            raise MailDelayed(f"{server.host}:{server.port}: {type(error).__name__}") from error


def _failure(code: int, what: str) -> MailDelayed | MailRefused:
    """By the first digit of the reply (RFC 5321, section 4.2.1)."""
    return (MailRefused if code in PERMANENT else MailDelayed)(f"{what}: {code}")
