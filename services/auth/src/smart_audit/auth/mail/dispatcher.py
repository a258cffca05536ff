"""The mail dispatcher: hands queued mail over, at least once, with growing delays.

Several processes share the queue: a mail that is taken is due again only later. Whoever dies
meanwhile has lost nothing, and the next attempt needs no decision.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import structlog

from smart_audit.auth.mail.queue import PURPOSE
from smart_audit.auth.mail.sending import MailDelayed, Mailer, MailRefused
from smart_audit.auth.repository import Work
from smart_audit.auth.repository.mails import QueuedMail
from smart_audit.auth.waking import Woken
from smart_audit.core.sealing import SealBroken, Sealer

log = structlog.get_logger()

AT_ONCE = 8
# The first is longer than an attempt may take, so that nobody else begins one meanwhile.
DELAYS = (timedelta(seconds=30), timedelta(hours=1))
# The last is a day after the first.
MAX_ATTEMPTS = 30


class MailDispatcher(Woken):
    """Runs beside the server until it is cancelled."""

    def __init__(
        self,
        work: Work,
        sealer: Sealer,
        mailer: Mailer,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__()
        self._work = work
        self._sealer = sealer
        self._mailer = mailer
        self._now = now

    async def run(self) -> None:
        """Send what is due; then wait to be woken, or look again after two seconds."""
        while True:
            try:
                while mails := await self._take():
                    await asyncio.gather(*map(self._send, mails))
            except Exception as error:  # noqa: BLE001  (whatever it is, the mails wait)
                log.warning("mail.waits", error=type(error).__name__)
            await self._pause()

    async def _take(self) -> list[QueuedMail]:
        async with self._work.everywhere() as repositories:
            return await repositories.mails.take(AT_ONCE, self._now(), DELAYS)

    async def _send(self, mail: QueuedMail) -> None:
        """Hand one mail over; unless it has to be tried again, it leaves the queue."""
        try:
            message = self._opened(mail)
            if message["To"]:
                await self._mailer.send(message)
        except (MailRefused, SealBroken) as error:
            log.error("mail.refused", mail=mail.position, error=str(error))
        except Exception as error:  # noqa: BLE001  (whatever it is, it must not hold up the others)
            # Who has foreseen it says what may be told.
            why = str(error) if isinstance(error, MailDelayed) else type(error).__name__
            if mail.attempts < MAX_ATTEMPTS:
                log.warning("mail.delayed", mail=mail.position, error=why)
                return
            log.error("mail.given_up", mail=mail.position, error=why)
        else:
            log.info("mail.sent", mail=mail.position, attempts=mail.attempts)
        async with self._work.everywhere() as repositories:
            await repositories.mails.remove(mail.position)

    def _opened(self, mail: QueuedMail) -> EmailMessage:
        """A message; one to nobody has no recipient."""
        return message_from_bytes(self._sealer.open(mail.sealed_message, PURPOSE), policy=SMTP)
