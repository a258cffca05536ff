"""Rank kinds of event by what a question means."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from smart_audit.audit.meaning.embedding import Embedder, EmbeddingFailed, WordVectorEmbedder
from smart_audit.audit.meaning.phrases import Phrase, PhraseId
from smart_audit.audit.meaning.question import search_words
from smart_audit.audit.meaning.ranking import Ranked, Ranker
from smart_audit.audit.questions.words import Words, words_of
from smart_audit.audit.repository.database import Searching
from smart_audit.audit.repository.phrases import PhraseStore, Vector
from smart_audit.audit.use_cases.known_kinds import KindsInMemory

log = structlog.get_logger()

PATIENCE_S: Final = 1.0
"""How long a search waits for the meaning of its question."""
AWAY_S: Final = 10.0
"""How long a model is not asked again that did not answer."""
SEARCH_WORDS: Final = 60
"""Words by which candidates are found: those of the question, and what means the same."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as kinds of event are ranked by it."""

    text: str
    words: Words
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    """Its meaning, by model; of a model that does not answer there is none."""


class Kinds:
    """Ranks kinds of event. embedders: the configured one first, and the word vectors."""

    def __init__(self, embedders: Sequence[Embedder], ranker: Ranker) -> None:
        self._embedders = embedders
        self._ranker = ranker
        self._memory = KindsInMemory(ranker)
        self._away_until: dict[str, float] = {}

    async def asked(self, text: str) -> Asked | None:
        """A question's words and meaning; None where nothing is left to rank by."""
        if not text:
            return None
        vectors = {}
        for embedder in self._embedders:
            vector = await self._embedded(text, embedder)
            if vector is not None:
                vectors[embedder.model] = vector
        return Asked(text, words_of(text), vectors)

    async def rank(
        self,
        asked: Asked,
        searching: Searching,
        limit: int,
        ids: Collection[PhraseId] | None = None,
    ) -> list[Ranked]:
        """The kinds that answer, the best first, `limit` at most. ids: the only ones that count.

        Of a log that has too many kinds to keep them in memory, `limit` is how many candidates
        each way of finding them may give.
        """
        phrases = searching.phrases
        known = await self._memory.of(searching)
        model = await self._model(asked, phrases)
        if known is not None:
            nearness = await _nearness(asked, model, phrases, None)
            return await self._ranker.rank(
                asked.text, known.table, nearness, among=ids, limit=limit
            )
        if ids is None:
            ids = await _candidates(asked, model, phrases, limit)
        nearness = await _nearness(asked, model, phrases, ids)
        table = await self._ranker.table(list((await phrases.get(ids)).values()))
        return await self._ranker.rank(asked.text, table, nearness)

    async def unknown_words(self, words: Collection[str], searching: Searching) -> set[str]:
        """Of several words, those that no kind of event has."""
        known = await self._memory.of(searching)
        if known is not None:
            return known.unknown(words)
        return set(words) - await searching.events.words_of_kinds(words)

    async def get(
        self, ids: Collection[PhraseId], searching: Searching
    ) -> Mapping[PhraseId, Phrase]:
        """Kinds by their ids, among others."""
        known = self._memory.last(searching)
        return await searching.phrases.get(ids) if known is None else known.by_id

    async def _embedded(self, text: str, embedder: Embedder) -> Vector | None:
        """The meaning of a text; None while the model does not answer: words find meanwhile."""
        if time.monotonic() < self._away_until.get(embedder.model, 0):
            return None
        try:
            async with asyncio.timeout(PATIENCE_S):
                vectors = await embedder.embed([text])
        except (EmbeddingFailed, TimeoutError) as error:
            self._away_until[embedder.model] = time.monotonic() + AWAY_S
            log.warning("search.meaning_missing", model=embedder.model, error=repr(error))
            return None
        vector: Vector = vectors[0]
        return vector

    async def _model(self, asked: Asked, phrases: PhraseStore) -> str | None:
        """The model by whose vectors to search: the configured one, until another has more.

        The ranker itself knows the word vectors.
        """
        usable = [one.model for one in self._embedders if one.model in asked.vectors]
        if usable == [WordVectorEmbedder.model]:
            return WordVectorEmbedder.model
        counts = await phrases.vectors_by_model()
        return max((one for one in usable if one in counts), key=counts.__getitem__, default=None)


async def _nearness(
    asked: Asked, model: str | None, phrases: PhraseStore, ids: Collection[PhraseId] | None
) -> Mapping[PhraseId, float] | None:
    """Cosines by a model that the ranker does not know itself; None where there are none."""
    if model is None or model == WordVectorEmbedder.model:
        return None
    return await phrases.nearness(model, asked.vectors[model], ids) or None


async def _candidates(
    asked: Asked, model: str | None, phrases: PhraseStore, limit: int
) -> list[PhraseId]:
    """Kinds that may answer: those that say what is asked for, and the nearest by meaning."""
    found = await phrases.with_words(search_words(asked.text, SEARCH_WORDS), limit)
    if model is not None:
        found += await phrases.nearest(model, asked.vectors[model], limit)
    return list(dict.fromkeys(found))
