"""The outbox folder: each mail becomes a file, for development and for a mail server's pickup."""

import asyncio
import os
from email.message import EmailMessage
from pathlib import Path

from smart_audit.auth.mail.sending import MailDelayed

FILE_MODE = 0o600
FOLDER_MODE = 0o700


class FolderMailer:
    """Writes `.eml` files, readable by their owner alone, since they hold secrets.

    A file is named by its message's id, so that names sort by time, and a repetition replaces the
    file that it repeats.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        """Write a message in one step: whoever watches the folder sees all of it or none."""
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise MailDelayed(f"cannot write to {self._folder}: {error.strerror}") from error

    def _write(self, message: EmailMessage) -> None:
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        draft = self._folder / f".{name}.part"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(message.as_bytes())
        draft.replace(self._folder / f"{name}.eml")
