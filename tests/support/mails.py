"""The mails that a world sends, as their readers see them."""

import asyncio
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from smart_audit.api.auth.v1 import account_pb2_grpc
from tests.support.world import World


@dataclass(frozen=True)
class Mail:
    """One mail."""

    subject: str
    recipient: str
    text: str
    html: str

    @property
    def token(self) -> str:
        """The token of its link."""
        token: str = re.findall(r"#token=(\S+)", self.text)[0]
        return token

    @property
    def code(self) -> str:
        """The code that it brings."""
        code: str = re.findall(r"^ +(\d{8})$", self.text, re.MULTILINE)[0]
        return code


def read(message: EmailMessage) -> Mail:
    """A message as its reader sees it."""
    text, html = (part.get_content().replace("\r\n", "\n") for part in message.iter_parts())
    return Mail(message["Subject"], message["To"], text, html)


def mails_in(folder: Path, recipient: str) -> list[Mail]:
    """The mails to an address, the oldest first."""
    found = [file.read_bytes() for file in sorted(folder.glob("*.eml"))]
    # Most are to others, and reading one takes a while.
    likely = [one for one in found if recipient.encode() in one]
    mails = [read(message_from_bytes(one, policy=default)) for one in likely]
    return [mail for mail in mails if mail.recipient == recipient]


async def mail_to(world: World, recipient: str, subject: str) -> Mail:
    """Wait for a mail to an address whose subject has these words; the last one."""
    for _ in range(500):
        found = [mail for mail in mails_in(world.mail_dir, recipient) if subject in mail.subject]
        if found:
            return found[-1]
        await asyncio.sleep(0.02)
    there = [mail.subject for mail in mails_in(world.mail_dir, recipient)]
    raise TimeoutError(f"no mail to {recipient} about {subject!r}, but {there}")


async def queue_is_empty(world: World) -> None:
    """Wait until every mail that was queued has been sent."""
    for _ in range(500):
        with world.database.connect() as connection:
            if connection.execute("SELECT FROM auth.mails").fetchone() is None:
                return
        await asyncio.sleep(0.02)
    raise TimeoutError("mails still wait")


def account_of(world: World) -> Any:
    """A stub of a world's AccountService."""
    return account_pb2_grpc.AccountServiceStub(world.auth_channel)
