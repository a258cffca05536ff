"""Mail arrives: by SMTP or in the folder, whatever happens meanwhile."""

import asyncio
import stat
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import pytest
from pydantic import ValidationError

from smart_audit.auth.mail.dispatcher import MAX_ATTEMPTS, MailDispatcher
from smart_audit.auth.mail.folder import FolderMailer
from smart_audit.auth.mail.letters import VerifyEmail
from smart_audit.auth.mail.queue import PURPOSE
from smart_audit.auth.mail.rendering import Renderer
from smart_audit.auth.mail.sending import MailDelayed, MailRefused
from smart_audit.auth.mail.smtp import SmtpMailer, SmtpServer
from smart_audit.auth.repository import CONNECTION_OPTIONS, Work
from smart_audit.auth.settings import AuthSettings
from smart_audit.core.database import open_engine
from smart_audit.core.ids import new_id, utc_now
from smart_audit.core.rpc.server import background
from smart_audit.core.sealing import Sealer
from tests.support.governance import until
from tests.support.mails import read
from tests.support.smtp import Postbox, certificate, running_smtp
from tests.support.world import free_port, running_world

RENDERER = Renderer("Acme <no-reply@acme.test>", "https://acme.test/account")
SEALER = Sealer(bytes(32))


def message(recipient="ada@example.com", id_=None):
    return RENDERER.message(
        VerifyEmail("t0ken", timedelta(days=1)), recipient, id_ or new_id(), utc_now()
    )


async def test_smtp_takes_a_mail_with_text_and_html():
    postbox, port = Postbox(), free_port()
    with running_smtp(port, postbox):
        await SmtpMailer(SmtpServer("127.0.0.1", port, "none")).send(message("a..b+c@example.com"))
    (sent,) = postbox.messages
    mail = read(sent)
    assert sent["From"] == "Acme <no-reply@acme.test>"
    assert mail.recipient == "a..b+c@example.com"
    assert "https://acme.test/account/verify-email#token=t0ken" in mail.text
    assert 'href="https://acme.test/account/verify-email#token=t0ken"' in mail.html
    assert sent["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_smtp_logs_in_over_tls_whose_certificate_is_verified(security, tmp_path, monkeypatch):
    postbox, port = Postbox(), free_port()
    context, trusted = certificate(tmp_path)
    options = {"tls_context": context} if security == "starttls" else {"ssl_context": context}
    server = SmtpServer("localhost", port, security, "acme", "s3cret")
    with running_smtp(
        port,
        postbox,
        authenticator=postbox.authenticate,
        auth_require_tls=security == "starttls",
        **options,
    ):
        with pytest.raises(MailDelayed):
            await SmtpMailer(server).send(message())
        assert postbox.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        await SmtpMailer(server).send(message())
    assert postbox.logins == [("acme", "s3cret")]
    assert len(postbox.messages) == 1


async def test_a_server_without_starttls_is_told_nothing():
    postbox, port = Postbox(), free_port()
    with running_smtp(port, postbox), pytest.raises(MailDelayed):
        await SmtpMailer(SmtpServer("127.0.0.1", port, "starttls", "a", "b")).send(message())
    assert postbox.logins == []
    assert postbox.messages == []


@pytest.mark.parametrize(
    ("answers", "failure"),
    [
        ({"recipient_answer": "550 no such user"}, MailRefused),
        ({"recipient_answer": "451 greylisted"}, MailDelayed),
        ({"answer": "554 looks like spam"}, MailRefused),
        ({"answer": "452 disk full"}, MailDelayed),
    ],
)
async def test_a_refusal_is_final_or_not_by_its_code(answers, failure):
    postbox, port = Postbox(**answers), free_port()
    with running_smtp(port, postbox), pytest.raises(failure) as refused:
        await SmtpMailer(SmtpServer("127.0.0.1", port, "none")).send(message())
    assert "ada@example.com" not in str(refused.value)


async def test_the_folder_gets_one_private_file_a_mail(tmp_path):
    folder = tmp_path / "outbox"
    mailer = FolderMailer(folder)
    ids = [UUID(int=number) for number in (1, 2)]
    for id_ in (*ids, ids[0]):
        await mailer.send(message(id_=id_))
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"{id_}.eml" for id_ in ids]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert read(message_from_bytes(files[0].read_bytes(), policy=default)).text


async def test_a_folder_that_cannot_be_written_delays_mail(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MailDelayed):
        await FolderMailer(tmp_path / "file" / "outbox").send(message())


class Mailman:
    """Hands mail over as a test likes, and counts."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.taken = []

    async def send(self, mail):
        self.taken.append(mail["Message-ID"])
        await asyncio.sleep(0.05)
        if self.failures:
            raise self.failures.pop(0)


@asynccontextmanager
async def queue(cluster):
    """The queue of a database of its own, and the database."""
    database = cluster.new_database()
    async with open_engine(
        database.service_url("auth"), pool_size=10, application="test", options=CONNECTION_OPTIONS
    ) as engine:
        yield Work(engine), database


async def put(work, count=1, recipient="ada@example.com"):
    async with work.everywhere() as repositories:
        for _ in range(count):
            sealed = SEALER.seal(message(recipient).as_bytes(), PURPOSE)
            await repositories.mails.add(sealed, utc_now())


def waiting(database):
    with database.connect() as connection:
        return connection.execute(
            "SELECT attempts, next_attempt_at FROM auth.mails ORDER BY position"
        ).fetchall()


async def test_several_dispatchers_share_the_queue_and_send_each_mail_once(cluster):
    async with queue(cluster) as (work, database):
        await put(work, 30)
        mailmen = [Mailman() for _ in range(3)]
        dispatchers = [MailDispatcher(work, SEALER, each, utc_now) for each in mailmen]
        async with (
            background(dispatchers[0].run),
            background(dispatchers[1].run),
            background(dispatchers[2].run),
        ):
            await until(lambda: asyncio.sleep(0, not waiting(database)))
    sent = [id_ for mailman in mailmen for id_ in mailman.taken]
    assert len(sent) == len(set(sent)) == 30
    assert all(mailman.taken for mailman in mailmen)


async def test_a_delayed_mail_is_due_later_each_time_and_given_up_in_the_end(cluster):
    async with queue(cluster) as (work, database):
        await put(work)
        mailman = Mailman(*[MailDelayed("away"), RuntimeError("nobody has foreseen it")] * 3)
        dispatcher = MailDispatcher(work, SEALER, mailman, utc_now)
        delays = []
        async with background(dispatcher.run):
            for earlier in (0, 1, 2, MAX_ATTEMPTS - 2):
                with database.connect() as connection:
                    connection.execute(
                        "UPDATE auth.mails SET attempts = %s, next_attempt_at = now()", [earlier]
                    )
                dispatcher.wake()
                await until(lambda n=earlier + 1: asyncio.sleep(0, waiting(database)[0][0] == n))
                ((_, due),) = waiting(database)
                delays.append((due - utc_now()).total_seconds())
            with database.connect() as connection:
                connection.execute("UPDATE auth.mails SET next_attempt_at = now()")
            dispatcher.wake()
            await until(lambda: asyncio.sleep(0, not waiting(database)))
    assert [round(delay, -1) for delay in delays] == [30, 60, 120, 3600]
    assert len(mailman.taken) == 5


async def test_a_refused_mail_and_one_that_cannot_be_opened_hold_up_no_other(cluster):
    async with queue(cluster) as (work, database):
        async with work.everywhere() as repositories:
            await repositories.mails.add(b"sealed by somebody else, long ago", utc_now())
        await put(work, 2)
        mailman = Mailman(MailRefused("550"))
        async with background(MailDispatcher(work, SEALER, mailman, utc_now).run):
            await until(lambda: asyncio.sleep(0, not waiting(database)))
    assert len(mailman.taken) == 2


async def test_nobodys_mail_is_not_sent(cluster):
    async with queue(cluster) as (work, database):
        await put(work, recipient="")
        mailman = Mailman()
        async with background(MailDispatcher(work, SEALER, mailman, utc_now).run):
            await until(lambda: asyncio.sleep(0, not waiting(database)))
    assert mailman.taken == []


async def test_a_signup_while_smtp_is_away_gets_its_mail_once_it_is_back(cluster):
    postbox, port = Postbox(answer="421 going down"), free_port()
    smtp = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none"}
    async with running_world(cluster.new_database(), auth=smtp) as world:
        user = await world.signed_up()

        async def tried(times):
            rows = waiting(world.database)
            return rows and rows[0][0] >= times

        async def due_again():
            with world.database.connect() as connection:
                connection.execute("UPDATE auth.mails SET next_attempt_at = now()")

        await until(lambda: tried(1))
        with running_smtp(port, postbox):
            await due_again()
            await until(lambda: tried(2))
            assert postbox.messages == []
            postbox.answer = "250 OK"
            await due_again()
            await until(lambda: asyncio.sleep(0, not waiting(world.database)))
    (sent,) = postbox.messages
    assert sent["To"] == user.email


@pytest.mark.parametrize(
    "wrong", [{"mail_from": "Acme"}, {"mail_from": "A\n<a@b.c>"}, {"account_pages_url": "acme"}]
)
def test_settings_of_mail_are_checked(wrong):
    with pytest.raises(ValidationError):
        AuthSettings(database_url="postgresql:///x", smtp_host="smtp.acme.test", **wrong)
