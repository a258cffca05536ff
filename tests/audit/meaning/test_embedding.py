"""Models that embed: the one of this machine and those behind HTTP obey one contract."""

from hashlib import sha256

import numpy as np
import pytest
from aiohttp import web
from pydantic import SecretStr

from smart_audit.audit.meaning.embedders import embedder
from smart_audit.audit.meaning.embedding import EmbeddingFailed, WordVectorEmbedder
from smart_audit.audit.meaning.embedding_service import BATCH, EmbeddingService
from smart_audit.audit.settings import AuditSettings

DIMENSIONS = 8
MODEL = "small"


class Service:
    """A real server that speaks the protocol; its vectors are hashes."""

    def __init__(self) -> None:
        self.requests = []
        self.answer = None

    async def embeddings(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append((request.headers.get("Authorization"), body))
        if self.answer is not None:
            return self.answer()
        data = [
            {"index": index, "embedding": _numbers(text)}
            for index, text in enumerate(body["input"])
        ]
        return web.json_response({"data": data[::-1]})


def _numbers(text: str) -> list[float]:
    return [byte - 127.5 for byte in sha256(text.encode()).digest()[:DIMENSIONS]]


@pytest.fixture
async def service():
    service = Service()
    app = web.Application()
    app.router.add_post("/v1/embeddings", service.embeddings)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.url = site.name
    yield service
    await runner.cleanup()


@pytest.fixture
async def remote(service):
    model = EmbeddingService(service.url, MODEL, DIMENSIONS, SecretStr("k"), timeout_s=5)
    yield model
    await model.close()


@pytest.fixture(params=["word vectors", "service"])
def model(request, remote):
    return remote if request.param == "service" else WordVectorEmbedder()


async def test_each_text_has_a_vector_of_length_one(model):
    vectors = await model.embed(["delete document", "create user", "delete document"])

    assert vectors.shape == (3, model.dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[0], vectors[2], atol=1e-6)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-2)


async def test_many_texts_keep_their_order(model):
    texts = [f"text {number}" for number in range(2 * BATCH + 1)]

    together = await model.embed(texts)

    assert np.allclose(together[-1], (await model.embed(texts[-1:]))[0], atol=1e-5)


async def test_no_texts_have_no_vectors(model):
    assert (await model.embed([])).shape == (0, model.dimensions)


async def test_the_name_tells_the_model_and_the_version_of_the_texts(model):
    name, _, version = model.model.rpartition("/")

    assert name
    assert version.isdigit()


async def test_the_service_is_asked_for_the_model_with_the_key(remote, service):
    await remote.embed(["a"])

    assert service.requests == [("Bearer k", {"model": MODEL, "input": ["a"]})]


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=503),
        lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
        lambda: web.Response(text="no json"),
        lambda: web.json_response({"data": []}),
        lambda: web.json_response({"error": "x"}),
        lambda: web.json_response({"data": [{"index": 0, "embedding": [1.0]}]}),
        lambda: web.json_response({"data": [{"index": 0, "embedding": [0.0] * DIMENSIONS}]}),
        lambda: web.json_response({"data": [{"index": 0, "embedding": ["x"] * DIMENSIONS}]}),
    ],
)
async def test_a_service_that_answers_otherwise_has_failed(answer, remote, service):
    service.answer = answer

    with pytest.raises(EmbeddingFailed):
        await remote.embed(["a"])


async def test_a_service_that_is_not_there_has_failed():
    model = EmbeddingService("http://127.0.0.1:1", MODEL, DIMENSIONS, SecretStr(""), timeout_s=5)

    with pytest.raises(EmbeddingFailed):
        await model.embed(["a"])
    await model.close()


def settings(**fields):
    return AuditSettings(_env_file=None, database_url="postgresql://x", **fields)


def test_the_settings_name_the_model(tmp_path):
    service = settings(embeddings="service", embeddings_url="http://x", embeddings_model="m")
    folder = settings(embeddings="sentence-transformers", embeddings_folder=tmp_path)

    assert embedder(settings()).model == WordVectorEmbedder().model
    assert embedder(service).model.startswith("m/")
    assert embedder(folder).model.startswith(tmp_path.name)


@pytest.mark.parametrize("name", ["service", "sentence-transformers"])
def test_a_model_that_is_not_named_is_refused(name):
    with pytest.raises(ValueError, match="AUDIT_EMBEDDINGS_"):
        embedder(settings(embeddings=name))
