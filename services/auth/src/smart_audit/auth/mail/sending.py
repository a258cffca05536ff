"""The port by which mail leaves. SMTP and a folder implement it."""

from email.message import EmailMessage
from typing import Protocol


class MailDelayed(Exception):
    """The mail could not be handed over now; it may work later."""


class MailRefused(Exception):
    """The mail was refused for good, such as for an address that does not exist."""


class Mailer(Protocol):
    """Hands mail over."""

    async def send(self, message: EmailMessage) -> None:
        """Hand over one message; its recipient is in `To`.

        Raises: MailDelayed, MailRefused. Neither tells what the message says, or to whom.
        """
        ...
