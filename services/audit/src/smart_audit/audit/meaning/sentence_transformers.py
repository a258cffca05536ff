"""Embedding by a model of the sentence-transformers package, in this process.

The package is an extra (`smart-audit-audit[sentence-transformers]`). The model is a folder on this
machine: nothing is fetched.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from smart_audit.audit.meaning.embedding import EmbeddingFailed, versioned
from smart_audit.audit.meaning.embedding_service import unit
from smart_audit.audit.meaning.word_vectors import Vectors


class SentenceTransformers:
    """A model from a folder. It is loaded by the first call."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        self.model = versioned(folder.name)
        self.dimensions = dimensions
        self._folder = folder
        self._loading = Lock()
        self._loaded: Any = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text. Raises: EmbeddingFailed."""
        try:
            vectors = await asyncio.to_thread(self._encode, list(texts))
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise EmbeddingFailed(f"{type(error).__name__}: {error}") from error
        if vectors.shape != (len(texts), self.dimensions):
            raise EmbeddingFailed(
                f"{self._folder.name} makes vectors of {vectors.shape[-1]} numbers, "
                f"and AUDIT_EMBEDDINGS_DIMENSIONS is {self.dimensions}"
            )
        return unit(vectors)

    async def close(self) -> None:
        """Let the model go."""
        self._loaded = None

    def _encode(self, texts: list[str]) -> Vectors:
        with self._loading:
            if self._loaded is None:
                # Imported here, since it takes seconds and half a gigabyte, and is an extra.
                from sentence_transformers import SentenceTransformer  # noqa: PLC0415

                self._loaded = SentenceTransformer(str(self._folder), local_files_only=True)
            return np.asarray(self._loaded.encode(texts, show_progress_bar=False), np.float32)
