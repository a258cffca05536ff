"""From a letter to a message with text and HTML.

Each letter has one template, which is rendered twice: with the parts and the layout of the folder
`html`, and with those of `text`.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from smart_audit.auth.devices import device_of
from smart_audit.auth.mail.letters import Letter, LinkLetter
from smart_audit.core.deferred import deferred

if TYPE_CHECKING:
    import jinja2
else:
    jinja2 = deferred("jinja2")

TEMPLATES = Path(__file__).parent / "templates"
WORD_JOINER = "\N{WORD JOINER}"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter, written."""

    subject: str
    text: str
    html: str


class Renderer:
    """Writes letters.

    sender: as in `Name <address>`; the name stands on top of each letter.
    pages_url: where the pages are that links open, without a slash at the end.
    """

    def __init__(self, sender: str, pages_url: str) -> None:
        self._sender = sender
        name, self._sender_address = parseaddr(sender)
        self._product = name or self._sender_address
        self._pages_url = pages_url

    @cached_property
    def _html(self) -> "jinja2.Environment":
        return _environment("html", autoescape=True)

    @cached_property
    def _text(self) -> "jinja2.Environment":
        return _environment("text", autoescape=False)

    def render(self, letter: Letter) -> Rendered:
        """Subject, text and HTML of a letter."""
        context = {"letter": letter, "product": self._product, "link": self._link(letter)}
        name = f"{letter.template}.jinja"
        # Its first line is the subject.
        subject, text = self._text.get_template(name).render(context).split("\n", 1)
        return Rendered(subject, text, self._html.get_template(name).render(context))

    def message(self, letter: Letter, recipient: str, id_: UUID, at: datetime) -> EmailMessage:
        """The message to send (RFC 5322). Its id makes a repetition known to who receives it."""
        rendered = self.render(letter)
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        if recipient:
            message["To"] = recipient
        message["Subject"] = rendered.subject
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{id_}@{self._sender_address.rpartition('@')[2]}>"
        # No holiday notes in answer, please (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(rendered.text, cte="quoted-printable")
        message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
        return message

    def _link(self, letter: Letter) -> str:
        """The token is in the fragment: browsers send that to no server, and to no log."""
        if not isinstance(letter, LinkLetter):
            return ""
        return f"{self._pages_url}/{letter.page}#token={letter.token}"


def _environment(kind: str, *, autoescape: bool) -> "jinja2.Environment":
    # Text needs no escape: nothing in it is markup.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES / kind, TEMPLATES / "letters"]),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "device": lambda user_agent: user_agent and device_of(user_agent),
        "duration": _duration,
        "moment": _moment,
        "unlinked": _unlinked,
    }
    return environment


def _duration(duration: timedelta) -> str:
    """In words, by the largest unit that divides it."""
    seconds = int(duration.total_seconds())
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return f"{seconds} seconds"


def _moment(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _unlinked(text: str) -> str:
    """What strangers chose, so that no mail program makes a link of it."""
    return re.sub(r"([./:@])", rf"\1{WORD_JOINER}", text)
