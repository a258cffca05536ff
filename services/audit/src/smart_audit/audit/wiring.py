"""Puts audit together and runs it."""

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from smart_audit.api.audit.v1 import (
    analytics_pb2,
    analytics_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    event_types_pb2,
    event_types_pb2_grpc,
    exports_pb2,
    exports_pb2_grpc,
    governance_pb2,
    governance_pb2_grpc,
    saved_searches_pb2,
    saved_searches_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
    tail_pb2,
    tail_pb2_grpc,
    tiles_pb2,
    tiles_pb2_grpc,
)
from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.audit.checkpoints import CheckpointKeys
from smart_audit.audit.embedding_runner import EmbeddingRunner
from smart_audit.audit.export_runner import ExportRunner
from smart_audit.audit.export_sealing import ExportSealing
from smart_audit.audit.export_streams import Streams
from smart_audit.audit.integrity.background import Verification
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.log_feed import LogFeed
from smart_audit.audit.meaning.embedders import embedder
from smart_audit.audit.meaning.embedding import Embedder, WordVectorEmbedder
from smart_audit.audit.meaning.ranking import Ranker
from smart_audit.audit.measuring import measure
from smart_audit.audit.opening import open_database
from smart_audit.audit.projector import keep_projecting
from smart_audit.audit.registry import EventTypes
from smart_audit.audit.repository import Database
from smart_audit.audit.retention import keep_retention
from smart_audit.audit.revocation_feed import RevocationFollower
from smart_audit.audit.sequencer import Sequencer
from smart_audit.audit.servicer.analytics import AnalyticsServicer
from smart_audit.audit.servicer.event_types import EventTypeServicer
from smart_audit.audit.servicer.events import EventServicer
from smart_audit.audit.servicer.exports import ExportServicer
from smart_audit.audit.servicer.filters import FilterServicer
from smart_audit.audit.servicer.governance import GovernanceServicer
from smart_audit.audit.servicer.log import LogServicer
from smart_audit.audit.servicer.reads import ReadCalls
from smart_audit.audit.servicer.refusals import Refusals
from smart_audit.audit.servicer.saved_searches import SavedSearchServicer
from smart_audit.audit.servicer.search import SearchServicer
from smart_audit.audit.servicer.tail import TailServicer, TailSettings
from smart_audit.audit.servicer.tiles import TileServicer
from smart_audit.audit.settings import AuditSettings
from smart_audit.audit.subject_keys import SubjectKeys
from smart_audit.audit.tail.cursors import Cursors
from smart_audit.audit.tail.tails import TailLimits, Tails
from smart_audit.audit.use_cases.checkpoint import Checkpointing, ensure_key
from smart_audit.audit.use_cases.order_exports import Exporting, ExportLimits
from smart_audit.audit.use_cases.own_events import Governing
from smart_audit.audit.use_cases.rank_kinds import Kinds
from smart_audit.audit.use_cases.record_events import Deps
from smart_audit.audit.use_cases.record_reads import Reads
from smart_audit.audit.witnesses.policy import read_policy
from smart_audit.audit.witnesses.runner import keep_checkpoints
from smart_audit.audit.wrapping import Wrapping
from smart_audit.core.ids import new_id, utc_now
from smart_audit.core.measuring import keep_measuring
from smart_audit.core.readiness import Readiness
from smart_audit.core.revocations import Revocations
from smart_audit.core.rpc.client import open_channel
from smart_audit.core.rpc.server import Server, background
from smart_audit.core.rpc.tls import channel_credentials, server_credentials
from smart_audit.core.sealing import Sealer
from smart_audit.core.tokens import KeyCache, TokenVerifier
from smart_audit.tlog.disclosure import new_salts

log = structlog.get_logger()

SERVICES = [
    analytics_pb2.DESCRIPTOR.services_by_name["AnalyticsService"],
    audit_pb2.DESCRIPTOR.services_by_name["EventService"],
    audit_pb2.DESCRIPTOR.services_by_name["LogService"],
    exports_pb2.DESCRIPTOR.services_by_name["ExportService"],
    governance_pb2.DESCRIPTOR.services_by_name["GovernanceService"],
    search_pb2.DESCRIPTOR.services_by_name["SearchService"],
    tiles_pb2.DESCRIPTOR.services_by_name["TileService"],
    event_types_pb2.DESCRIPTOR.services_by_name["EventTypeService"],
    event_types_pb2.DESCRIPTOR.services_by_name["FilterService"],
    saved_searches_pb2.DESCRIPTOR.services_by_name["SavedSearchService"],
    tail_pb2.DESCRIPTOR.services_by_name["TailService"],
]
KEYS_DEADLINE_S = 5
PARTITIONS_EVERY = timedelta(hours=6)


@asynccontextmanager
async def running(settings: AuditSettings) -> AsyncIterator[int]:
    """Serve while the context is open; gives the port.

    Raises: SealBroken when the key-encryption key is not the one of this database, RuntimeError
    for a witness policy that cannot be used, ValueError for a model that is not there.
    """
    policy = read_policy(settings.witness_policy_file)
    sealer = Sealer(settings.sealing_key())
    async with (
        open_database(settings, sealer) as database,
        open_channel(settings.auth_address, channel_credentials(settings)) as channel,
    ):
        await database.ensure_partitions(utc_now())
        keys = CheckpointKeys(sealer, settings.log_origin, settings.checkpoint_key_overlap)
        checkpointing = Checkpointing(utc_now, keys, policy)
        await ensure_key(database, checkpointing)
        published = PublishedKeys(auth_pb2_grpc.AuthServiceStub(channel))
        revocations = Revocations(deaf_after_s=settings.revocations_deaf_after.total_seconds())
        subject_keys = SubjectKeys(database, Wrapping(sealer))
        deps = _deps(settings, database, subject_keys)
        governing = Governing(utc_now, new_id, new_salts, subject_keys)
        exports = _exports(settings, database, sealer, governing, checkpointing)
        reads = Reads(database, deps, new_id)
        verifier = TokenVerifier(KeyCache(published.fetch), revocations, issuer=settings.issuer)
        server = Server(
            SERVICES,
            verifier,
            recent=settings.recent_authentication,
            on_refusal=Refusals(database, deps, governing).record,
            on_read=ReadCalls(reads).record,
        )
        _add_servicers(server, database, deps, checkpointing, governing)
        model = embedder(settings)
        embedding = EmbeddingRunner(database, model)
        server.add(
            search_pb2_grpc.add_SearchServiceServicer_to_server,
            SearchServicer(database, Kinds(_models(model), Ranker()), utc_now),
        )
        server.add(
            exports_pb2_grpc.add_ExportServiceServicer_to_server,
            ExportServicer(database, exports.deps, verifier, Streams(settings.export_streams)),
        )
        feed = LogFeed(settings.database_url.get_secret_value())
        tails = _tails(settings, feed, database, revocations)
        server.add(
            tail_pb2_grpc.add_TailServiceServicer_to_server,
            TailServicer(
                database, tails, verifier, Cursors(sealer.authenticate), _tail_settings(settings)
            ),
        )
        verification = Verification(
            settings.database_url.get_secret_value(),
            settings.verify_rate,
            Secrets(Wrapping(sealer), keys),
            database,
            governing,
        )
        readiness = Readiness(
            settings.database_url.get_secret_value(), "smart-audit-audit-readiness", server.report
        )
        try:
            async with (
                background(RevocationFollower(channel, revocations).run),
                background(feed.run),
                server.listening(
                    settings.host,
                    settings.port,
                    settings.metrics_port,
                    server_credentials(settings),
                ) as port,
                background(readiness.run),
                background(
                    partial(keep_measuring, partial(measure, database), settings.metrics_port)
                ),
                background(partial(keep_projecting, feed, database, embedding.wake)),
                background(embedding.run),
                background(tails.run),
                background(partial(_keep_partitions, database)),
                background(
                    partial(keep_checkpoints, settings.checkpoint_every, database, checkpointing)
                ),
                background(partial(keep_retention, settings.retention_every, database, governing)),
                background(partial(verification.keep_on, settings.verify_every)),
                background(exports.run),
            ):
                yield port
        finally:
            # Callers that left have set off work that still needs the database.
            await model.close()
            await reads.settle()
            await deps.sequencer.settle()
            await subject_keys.settle()


def _add_servicers(
    server: Server,
    database: Database,
    deps: Deps,
    checkpointing: Checkpointing,
    governing: Governing,
) -> None:
    """Serve what needs little besides the database and the log's own dependencies."""
    events = EventServicer(database, deps, checkpointing)
    server.add(audit_pb2_grpc.add_EventServiceServicer_to_server, events)
    log_service = LogServicer(database, checkpointing)
    server.add(audit_pb2_grpc.add_LogServiceServicer_to_server, log_service)
    tiles = TileServicer(database, checkpointing)
    server.add(tiles_pb2_grpc.add_TileServiceServicer_to_server, tiles)
    governance = GovernanceServicer(database, governing)
    server.add(governance_pb2_grpc.add_GovernanceServiceServicer_to_server, governance)
    analytics = AnalyticsServicer(database)
    server.add(analytics_pb2_grpc.add_AnalyticsServiceServicer_to_server, analytics)
    event_types = EventTypeServicer(database, governing)
    server.add(event_types_pb2_grpc.add_EventTypeServiceServicer_to_server, event_types)
    filters = FilterServicer(database)
    server.add(event_types_pb2_grpc.add_FilterServiceServicer_to_server, filters)
    saved_searches = SavedSearchServicer(database, governing)
    server.add(saved_searches_pb2_grpc.add_SavedSearchServiceServicer_to_server, saved_searches)


def _tails(
    settings: AuditSettings, feed: LogFeed, database: Database, revocations: Revocations
) -> Tails:
    limits = TailLimits(settings.tails_max, settings.tails_per_organisation_max)
    tails = Tails(feed, database, limits)
    revocations.tell_of_each(tails.wake)
    return tails


def _tail_settings(settings: AuditSettings) -> TailSettings:
    return TailSettings(
        settings.tail_heartbeat.total_seconds(), settings.tail_patience.total_seconds()
    )


def _deps(settings: AuditSettings, database: Database, keys: SubjectKeys) -> Deps:
    return Deps(
        now=utc_now,
        new_salts=new_salts,
        keys=keys,
        sequencer=Sequencer(
            database.append,
            batch_size=settings.batch_size,
            batch_bytes=settings.batch_bytes,
            queue_bytes=settings.queue_bytes,
        ),
        event_types=EventTypes(database),
    )


def _models(chosen: Embedder) -> list[Embedder]:
    """The models to search by: until the chosen one has embedded all, that of before may help."""
    fallback = WordVectorEmbedder()
    return [chosen] if chosen.model == fallback.model else [chosen, fallback]


def _exports(
    settings: AuditSettings,
    database: Database,
    sealer: Sealer,
    governing: Governing,
    checkpointing: Checkpointing,
) -> ExportRunner:
    limits = ExportLimits(settings.export_jobs, settings.export_bytes, settings.export_kept_for)
    woken = asyncio.Event()
    deps = Exporting(governing, checkpointing, ExportSealing(sealer), limits, wake=woken.set)
    return ExportRunner(database, deps, settings.export_every, settings.export_lease, woken)


class PublishedKeys:
    """The keys that auth publishes."""

    def __init__(self, auth: "auth_pb2_grpc.AuthServiceAsyncStub") -> None:
        self._auth = auth

    async def fetch(self) -> dict[str, Ed25519PublicKey]:
        """The verification keys by key id. Raises: grpc.aio.AioRpcError, ValueError."""
        answer = await self._auth.GetJwks(
            auth_pb2.GetJwksRequest(), timeout=KEYS_DEADLINE_S, wait_for_ready=True
        )
        return {
            key.kid: Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(key.x + "="))
            for key in answer.keys
            if key.kty == "OKP" and key.crv == "Ed25519"
        }


async def _keep_partitions(database: Database) -> None:
    """Make next month's partition in time; what fails is tried again."""
    while True:
        await asyncio.sleep(PARTITIONS_EVERY.total_seconds())
        try:
            await database.ensure_partitions(utc_now())
        except Exception as error:  # noqa: BLE001  (whatever it is, there is a month to mend it)
            log.error("partitions.failed", error=type(error).__name__)
