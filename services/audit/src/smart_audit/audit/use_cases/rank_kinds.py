"""Rank kinds of event by what a question means."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog

from smart_audit.audit.meaning.embedding import Embedder, EmbeddingFailed, WordVectorEmbedder
from smart_audit.audit.meaning.phrases import PhraseId
from smart_audit.audit.meaning.question import search_words
from smart_audit.audit.meaning.ranking import Ranked, Ranker
from smart_audit.audit.questions.words import Words, words_of
from smart_audit.audit.repository.phrases import PhraseStore, Vector

log = structlog.get_logger()

EXACT_UP_TO: Final = 20_000
"""Kinds of event of one log up to which each is compared with the question, and not led to by an
index that all logs share: half a microsecond for each."""
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


class _Model(NamedTuple):
    """A model whose vectors a log is searched by."""

    name: str
    exact: bool


class Kinds:
    """Ranks kinds of event. embedders: the configured one first, and the word vectors."""

    def __init__(self, embedders: Sequence[Embedder], ranker: Ranker) -> None:
        self._embedders = embedders
        self._ranker = ranker
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
        phrases: PhraseStore,
        limit: int,
        ids: Sequence[PhraseId] | None = None,
    ) -> list[Ranked]:
        """The kinds that answer, the best first.

        limit: how many candidates each way of finding them may give. ids: the candidates, where
        they are known.
        """
        model = await self._model(asked, phrases)
        if ids is None:
            ids = await _candidates(asked, model, phrases, limit)
        nearness: Mapping[PhraseId, float] | None = None
        # The ranker knows the word vectors itself.
        if model is not None and model.name != WordVectorEmbedder.model:
            nearness = await phrases.nearness(model.name, asked.vectors[model.name], ids)
        kinds = await phrases.get(ids)
        return await self._ranker.rank(asked.text, list(kinds.values()), nearness or None)

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

    async def _model(self, asked: Asked, phrases: PhraseStore) -> _Model | None:
        """The configured model, until another one has more of the kinds' vectors."""
        counts = await phrases.vectors_by_model()
        usable = [one.model for one in self._embedders if one.model in asked.vectors]
        best = max(usable, key=lambda name: counts.get(name, 0), default=None)
        if best is None or best not in counts:
            return None
        return _Model(best, exact=counts[best] <= EXACT_UP_TO)


async def _candidates(
    asked: Asked, model: _Model | None, phrases: PhraseStore, limit: int
) -> list[PhraseId]:
    """Kinds that may answer: those that say what is asked for, and the nearest by meaning."""
    found = await phrases.with_words(search_words(asked.text, SEARCH_WORDS), limit)
    if model is not None:
        vector = asked.vectors[model.name]
        found += await phrases.nearest(model.name, vector, limit, exact=model.exact)
    return list(dict.fromkeys(found))
