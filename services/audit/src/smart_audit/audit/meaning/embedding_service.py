"""Embedding by another service, which speaks the protocol of OpenAI's `/v1/embeddings`.

Many servers speak it: vLLM, Ollama, text-embeddings-inference, llama.cpp, LiteLLM.
Source: OpenAI API reference, "Create embeddings".
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
from pydantic import SecretStr

from smart_audit.audit.meaning.embedding import EmbeddingFailed, versioned
from smart_audit.audit.meaning.word_vectors import Vectors
from smart_audit.core.deferred import deferred

if TYPE_CHECKING:
    import aiohttp
else:
    aiohttp = deferred("aiohttp")

BATCH: Final = 64
"""Texts of one request."""
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024


class EmbeddingService:
    """A model behind HTTP."""

    def __init__(
        self, url: str, model: str, dimensions: int, key: SecretStr, timeout_s: float
    ) -> None:
        """url: of the service, without `/v1/embeddings`. timeout_s: for one request.

        key: sent as a bearer token, unless it is empty.
        """
        self.model = versioned(model)
        self.dimensions = dimensions
        self._name = model
        self._url = f"{url.rstrip('/').removesuffix('/v1')}/v1/embeddings"
        secret = key.get_secret_value()
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._timeout_s = timeout_s
        self._http: aiohttp.ClientSession | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text. Raises: EmbeddingFailed."""
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        return np.concatenate([await self._batch(batch) for batch in batches])

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    async def _batch(self, texts: Sequence[str]) -> Vectors:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._post({"model": self._name, "input": list(texts)})
        except TimeoutError as error:
            raise EmbeddingFailed(f"no answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            raise EmbeddingFailed(f"{type(error).__name__}: {error}") from error
        return self._vectors(answer, len(texts))

    async def _post(self, body: dict[str, Any]) -> Any:
        if self._http is None:
            self._http = aiohttp.ClientSession(headers=self._headers)
        async with self._http.post(self._url, json=body, allow_redirects=False) as answer:
            if answer.status != HTTPStatus.OK:
                raise EmbeddingFailed(f"the service answers {answer.status}")
            content = bytearray()
            async for chunk in answer.content.iter_any():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise EmbeddingFailed("the answer is too large")
            return orjson.loads(content)

    def _vectors(self, answer: Any, count: int) -> Vectors:
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            found = np.array([row["embedding"] for row in rows], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise EmbeddingFailed("the answer holds no embeddings") from error
        if found.shape != (count, self.dimensions):
            raise EmbeddingFailed(
                f"asked for {count} vectors of {self.dimensions} numbers, got {found.shape}"
            )
        return unit(found)


def unit(vectors: Vectors) -> Vectors:
    """The vectors at length 1. Raises: EmbeddingFailed for one that has none."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise EmbeddingFailed("a vector has no direction")
    found: Vectors = vectors / lengths
    return found
