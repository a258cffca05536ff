"""Embedding: texts as vectors. The port, and the model that needs nothing but this machine."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from smart_audit.audit.meaning import rendering, word_vectors
from smart_audit.audit.meaning.word_vectors import Vectors


class EmbeddingFailed(Exception):
    """The model cannot be had now, or does not answer as it should. Search goes on without it."""


class Embedder(Protocol):
    """A model that makes texts into vectors."""

    @property
    def model(self) -> str:
        """Its name, and the version of what is embedded: vectors of another are of no use."""

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text, of length 1. Raises: EmbeddingFailed."""

    async def close(self) -> None:
        """Give back what it holds."""


class WordVectorEmbedder:
    """The mean of the word vectors of a text's parts: 20,000 phrases a second on one core."""

    model: Final = word_vectors.NAME
    dimensions: Final = word_vectors.DIMENSIONS

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text. The first call loads the vectors, which takes half a second."""
        return await asyncio.to_thread(_embed, texts)

    async def close(self) -> None:
        """Nothing to give back."""


def _embed(texts: Sequence[str]) -> Vectors:
    return word_vectors.word_vectors().embed(texts)


def versioned(model: str) -> str:
    """The name of a model, with the version of the texts that it embeds."""
    return f"{model}/{rendering.VERSION}"
