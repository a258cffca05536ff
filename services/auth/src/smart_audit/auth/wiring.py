"""Puts auth together and runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.auth.dispatcher import Dispatcher
from smart_audit.auth.keys import KeyRing, TokenIssuer
from smart_audit.auth.passwords import Hasher
from smart_audit.auth.repository import Repositories
from smart_audit.auth.servicer import AuthServicer
from smart_audit.auth.settings import AuthSettings
from smart_audit.auth.use_cases.common import Deps, Lifetimes
from smart_audit.core.database import UnitOfWork, open_engine
from smart_audit.core.ids import new_id, new_secret, utc_now
from smart_audit.core.rpc.client import open_channel
from smart_audit.core.rpc.server import Server, background
from smart_audit.core.sealing import Sealer
from smart_audit.core.tokens import KeyCache, TokenVerifier

SERVICES = [auth_pb2.DESCRIPTOR.services_by_name["AuthService"]]


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
        ) as engine,
        open_channel(settings.audit_address) as channel,
    ):
        work = UnitOfWork(engine, Repositories)
        keys = KeyRing(work, Sealer(settings.sealing_key()))
        await keys.signing_key()  # a wrong key-encryption key must stop us here, not at a login
        issuer = TokenIssuer(keys, issuer=settings.issuer)
        verifier = TokenVerifier(KeyCache(keys.verification_keys), issuer=settings.issuer)
        hasher = Hasher(
            memory_kib=settings.argon2_memory_kib,
            passes=settings.argon2_passes,
            threads=settings.hash_threads,
            queue=settings.hash_queue,
        )
        server = Server(SERVICES, verifier)
        dispatcher = Dispatcher(work, issuer, channel)
        servicer = AuthServicer(work, keys, _deps(settings, hasher, issuer), dispatcher.wake)
        server.add(auth_pb2_grpc.add_AuthServiceServicer_to_server, servicer)
        async with (
            server.listening(settings.host, settings.port) as port,
            background(dispatcher.run),
        ):
            yield port
        hasher.close()


def _deps(settings: AuthSettings, hasher: Hasher, issuer: TokenIssuer) -> Deps:
    return Deps(
        now=utc_now,
        new_id=new_id,
        new_secret=new_secret,
        hasher=hasher,
        issuer=issuer,
        lifetimes=Lifetimes(
            access_token=settings.access_token_lifetime,
            refresh_token=settings.refresh_token_lifetime,
            session=settings.session_lifetime,
            refresh_grace=settings.refresh_grace,
        ),
        successor_key=HKDF(SHA256(), 32, salt=None, info=b"refresh token successor").derive(
            settings.sealing_key()
        ),
    )
