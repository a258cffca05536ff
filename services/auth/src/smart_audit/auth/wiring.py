"""Puts auth together and runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from smart_audit.api.auth.v1 import (
    account_pb2,
    account_pb2_grpc,
    admin_pb2,
    admin_pb2_grpc,
    auth_pb2,
    auth_pb2_grpc,
    factors_pb2,
    factors_pb2_grpc,
    machines_pb2,
    machines_pb2_grpc,
    oauth_pb2,
    organisations_pb2,
    organisations_pb2_grpc,
    sessions_pb2,
    sessions_pb2_grpc,
)
from smart_audit.auth import common_passwords
from smart_audit.auth.cache import Cache
from smart_audit.auth.cache.opening import open_cache
from smart_audit.auth.clients import Clients
from smart_audit.auth.dispatcher import Dispatcher
from smart_audit.auth.eraser import Eraser
from smart_audit.auth.key_rotation import KeyRotation, Schedule
from smart_audit.auth.keys import KeyRing, TokenIssuer
from smart_audit.auth.mail.dispatcher import MailDispatcher
from smart_audit.auth.mail.folder import FolderMailer
from smart_audit.auth.mail.rendering import Renderer
from smart_audit.auth.mail.sending import Mailer
from smart_audit.auth.mail.smtp import SmtpMailer, SmtpServer
from smart_audit.auth.measuring import measure
from smart_audit.auth.passkeys import RelyingParty
from smart_audit.auth.password_ranges import PasswordRanges, open_ranges
from smart_audit.auth.passwords import Hasher
from smart_audit.auth.repository import CONNECTION_OPTIONS, Queue, Work
from smart_audit.auth.revocation_feed import RevocationFeed
from smart_audit.auth.servicer.account import AccountServicer
from smart_audit.auth.servicer.admin import UserAdminServicer
from smart_audit.auth.servicer.auth import AuthServicer
from smart_audit.auth.servicer.base import Refusals
from smart_audit.auth.servicer.factors import FactorServicer
from smart_audit.auth.servicer.machines import ServiceAccountServicer
from smart_audit.auth.servicer.oauth import OAuthServicer
from smart_audit.auth.servicer.oauth import add_to_server as add_oauth_to_server
from smart_audit.auth.servicer.organisations import OrganisationServicer
from smart_audit.auth.servicer.sessions import RevocationServicer, SessionServicer
from smart_audit.auth.settings import AuthSettings
from smart_audit.auth.sweeper import Sweeper
from smart_audit.auth.throttle import Throttle
from smart_audit.auth.trail import Trail
from smart_audit.auth.use_cases.common import Deps, Lifetimes
from smart_audit.core.database import open_engine
from smart_audit.core.ids import new_id, new_secret, utc_now
from smart_audit.core.measuring import keep_measuring
from smart_audit.core.readiness import Readiness
from smart_audit.core.revocations import Revocations
from smart_audit.core.rpc.client import open_channel
from smart_audit.core.rpc.server import Server, background
from smart_audit.core.rpc.tls import channel_credentials, server_credentials
from smart_audit.core.sealing import Sealer
from smart_audit.core.tokens import KeyCache, TokenVerifier

SERVICES = [
    auth_pb2.DESCRIPTOR.services_by_name["AuthService"],
    factors_pb2.DESCRIPTOR.services_by_name["FactorService"],
    account_pb2.DESCRIPTOR.services_by_name["AccountService"],
    machines_pb2.DESCRIPTOR.services_by_name["ServiceAccountService"],
    oauth_pb2.DESCRIPTOR.services_by_name["OAuthService"],
    organisations_pb2.DESCRIPTOR.services_by_name["OrganisationService"],
    sessions_pb2.DESCRIPTOR.services_by_name["SessionService"],
    sessions_pb2.DESCRIPTOR.services_by_name["RevocationService"],
    admin_pb2.DESCRIPTOR.services_by_name["UserAdminService"],
]


@asynccontextmanager
async def running(settings: AuthSettings) -> AsyncIterator[int]:
    """Serve while the context is open; gives the port.

    Raises: SealBroken when the key-encryption key is not the one of this database.
    """
    async with (
        open_engine(
            settings.database_url.get_secret_value(),
            pool_size=settings.database_pool_size,
            application="smart-audit-auth",
            options=CONNECTION_OPTIONS,
        ) as engine,
        open_channel(settings.audit_address, channel_credentials(settings)) as channel,
        open_cache(settings.redis_url, engine) as cache,
        open_ranges(settings.password_range_url, settings.password_range_when_away) as ranges,
    ):
        work = Work(engine)
        sealer = Sealer(settings.sealing_key())
        keys = KeyRing(work, sealer)
        await keys.signing_key()  # a wrong key-encryption key must stop us here, not at a login
        issuer = TokenIssuer(keys, issuer=settings.issuer)
        revocations = Revocations(deaf_after_s=settings.revocations_deaf_after.total_seconds())
        feed = RevocationFeed(settings.database_url.get_secret_value(), work, revocations)
        hasher = Hasher(
            memory_kib=settings.argon2_memory_kib,
            passes=settings.argon2_passes,
            threads=settings.hash_threads,
            queue=settings.hash_queue,
        )
        deps = _deps(settings, hasher, issuer, sealer, cache, ranges)
        dispatcher = Dispatcher(work, issuer, channel)
        mails = MailDispatcher(work, sealer, _mailer(settings), utc_now)
        eraser = Eraser(work, issuer, channel, utc_now)

        work.wakes(Queue.EVENTS, dispatcher.wake)
        work.wakes(Queue.MAILS, mails.wake)
        work.wakes(Queue.ERASURES, eraser.wake)
        common = (work, deps)
        verifier = TokenVerifier(
            KeyCache(keys.verification_keys), revocations, issuer=settings.issuer
        )
        clients = Clients(work, revocations, utc_now)
        rotation = KeyRotation(keys, Schedule.of(settings), work)
        server = Server(
            SERVICES,
            verifier,
            recent=settings.recent_authentication,
            on_refusal=Refusals(*common).record,
        )
        _add_servicers(server, common, keys, feed)
        server.add(add_oauth_to_server, OAuthServicer(*common, clients, verifier, settings.issuer))
        server.add(
            admin_pb2_grpc.add_UserAdminServiceServicer_to_server,
            UserAdminServicer(*common, Trail(issuer, channel)),
        )
        readiness = Readiness(
            settings.database_url.get_secret_value(), "smart-audit-auth-readiness", server.report
        )
        async with (
            server.listening(
                settings.host, settings.port, settings.metrics_port, server_credentials(settings)
            ) as port,
            background(readiness.run),
            background(partial(keep_measuring, partial(measure, work), settings.metrics_port)),
            background(feed.run),
            background(dispatcher.run),
            background(mails.run),
            background(eraser.run),
            background(rotation.keep_on),
            background(Sweeper(work, utc_now).run),
        ):
            yield port
        hasher.close()


def _add_servicers(
    server: Server, common: tuple[Work, Deps], keys: KeyRing, feed: RevocationFeed
) -> None:
    """Serve what needs little besides the work and the dependencies."""
    server.add(auth_pb2_grpc.add_AuthServiceServicer_to_server, AuthServicer(*common, keys))
    server.add(factors_pb2_grpc.add_FactorServiceServicer_to_server, FactorServicer(*common))
    server.add(account_pb2_grpc.add_AccountServiceServicer_to_server, AccountServicer(*common))
    server.add(
        machines_pb2_grpc.add_ServiceAccountServiceServicer_to_server,
        ServiceAccountServicer(*common),
    )
    server.add(
        organisations_pb2_grpc.add_OrganisationServiceServicer_to_server,
        OrganisationServicer(*common),
    )
    server.add(sessions_pb2_grpc.add_SessionServiceServicer_to_server, SessionServicer(*common))
    server.add(sessions_pb2_grpc.add_RevocationServiceServicer_to_server, RevocationServicer(feed))


def _mailer(settings: AuthSettings) -> Mailer:
    if not settings.smtp_host:
        return FolderMailer(settings.mail_dir)
    return SmtpMailer(
        SmtpServer(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_username,
            settings.smtp_password.get_secret_value(),
        )
    )


def _deps(
    settings: AuthSettings,
    hasher: Hasher,
    issuer: TokenIssuer,
    sealer: Sealer,
    cache: Cache,
    ranges: PasswordRanges | None,
) -> Deps:
    return Deps(
        now=utc_now,
        new_id=new_id,
        new_secret=new_secret,
        hasher=hasher,
        throttle=Throttle(cache, _derived(settings, b"throttle"), settings.throttle_exempt),
        common_passwords=common_passwords.load(settings.password_deny_list),
        password_ranges=ranges,
        issuer=issuer,
        lifetimes=lifetimes_of(settings),
        successor_key=_derived(settings, b"refresh token successor"),
        relying_party=RelyingParty(
            id=settings.webauthn_rp_id,
            name=settings.webauthn_rp_name,
            origins=settings.webauthn_origins,
        ),
        renderer=Renderer(settings.mail_from, settings.pages_url()),
        sealer=sealer,
        require_verified_email=settings.require_verified_email,
    )


def lifetimes_of(settings: AuthSettings) -> Lifetimes:
    """How long things live, as the settings say."""
    return Lifetimes(
        access_token=settings.access_token_lifetime,
        refresh_token=settings.refresh_token_lifetime,
        session=settings.session_lifetime,
        refresh_grace=settings.refresh_grace,
        invitation=settings.invitation_lifetime,
    )


def _derived(settings: AuthSettings, purpose: bytes) -> bytes:
    """A key for one purpose; 32 bytes."""
    return HKDF(SHA256(), 32, salt=None, info=purpose).derive(settings.sealing_key())
