"""The outbox folder: what auth writes there, for the person at the terminal."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

LOOK_AGAIN_S = 0.5
LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that has just been written."""

    recipient: str
    subject: str
    link: str
    """What it asks to open; empty when it has no link."""


async def watch(folder: Path, show: Callable[[Mail], None]) -> None:
    """Show each mail that is written to the folder from now on, until cancelled."""
    seen = _names(folder)
    while True:
        await asyncio.sleep(LOOK_AGAIN_S)
        there = _names(folder)
        for name in sorted(there - seen):
            show(_read(folder / name))
        seen = there


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.glob("*.eml")}


def _read(file: Path) -> Mail:
    message = message_from_bytes(file.read_bytes(), policy=default)
    text = message.get_body(("plain",))
    links = LINK.findall(text.get_content()) if text else []
    return Mail(str(message["To"]), str(message["Subject"]), links[0] if links else "")
