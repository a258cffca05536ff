"""The embedder: beside the calls it gives each kind of event its vector.

When the installation changes to another model it embeds all kinds anew. Meanwhile searches find by
the old vectors, as long as their model is there, and by words what has no vector yet.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog
from prometheus_client import Counter

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.meaning.embedding import Embedder, EmbeddingFailed
from smart_audit.audit.meaning.phrases import PhraseId
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.phrases import Vector, index_vectors, organisations_to_embed

log = structlog.get_logger()

BATCH = 256
"""Kinds that are embedded at once, and kept in one transaction."""
GATHER_S = 0.1
"""How long kinds gather, so that a growing log is not asked at each of its batches."""
RETRY_S = 5.0
LOOK_EVERY = timedelta(minutes=10)
EMBEDDED = Counter("smart_audit_embedder_phrases", "Kinds of event that this process has embedded.")


class EmbeddingRunner:
    """Embeds what lacks a vector of one model, in all logs."""

    def __init__(self, database: Database, embedder: Embedder) -> None:
        self._database = database
        self._embedder = embedder
        self._waiting: set[OrganisationId] = set()
        self._woken = asyncio.Event()

    def wake(self, organisation_id: OrganisationId) -> None:
        """Tell that a log may have new kinds of event."""
        self._waiting.add(organisation_id)
        self._woken.set()

    async def run(self) -> None:
        """Embed until cancelled; what fails is tried again."""
        look = True
        while True:
            try:
                if look:
                    self._waiting.update(await _behind(self._database, self._embedder))
                while self._waiting:
                    await _embed(self._waiting.pop(), self._database, self._embedder)
                look = not await self._wait()
            except Exception as error:  # noqa: BLE001  (whatever it is, it is tried again)
                log.error("embedding.failed", model=self._embedder.model, error=repr(error))
                await asyncio.sleep(RETRY_S)
                look = True

    async def _wait(self) -> bool:
        """Wait for new kinds; False when it is time to look at all logs."""
        try:
            async with asyncio.timeout(LOOK_EVERY.total_seconds()):
                await self._woken.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(GATHER_S)
        self._woken.clear()
        return True


async def embed_everything(database: Database, embedder: Embedder) -> None:
    """Embed all kinds of event that have no vector; a model that is away is tried later."""
    for organisation_id in await _behind(database, embedder):
        try:
            await _embed(organisation_id, database, embedder)
        except EmbeddingFailed as error:
            log.warning("embedding.failed", model=embedder.model, error=str(error))
            return


async def _behind(database: Database, embedder: Embedder) -> Iterable[OrganisationId]:
    async with database.everywhere() as connection:
        await index_vectors(connection, embedder.model, embedder.dimensions)
        return await organisations_to_embed(connection, embedder.model)


async def _embed(organisation_id: OrganisationId, database: Database, embedder: Embedder) -> None:
    """Embed all that lacks a vector; then no other model's vectors are needed.

    Raises: EmbeddingFailed.
    """
    made: dict[PhraseId, Vector] = {}
    while True:
        async with database.projecting(organisation_id) as store:
            if made:
                await store.kinds.add_vectors(embedder.model, made)
            lacking = await store.kinds.lacking(embedder.model, BATCH)
            if not lacking:
                await store.kinds.drop_vectors_but([embedder.model])
        EMBEDDED.inc(len(made))
        if not lacking:
            return
        # Not in a transaction: a model may be another service's.
        vectors = await embedder.embed([phrase.text for phrase in lacking])
        made = dict(zip((phrase.id for phrase in lacking), vectors, strict=True))
