"""Searches while the model that embeds is away, and while the installation changes to another."""

import asyncio

import pytest

from smart_audit.api.audit.v1 import search_pb2
from smart_audit.audit.meaning.embedding import WordVectorEmbedder
from tests.support.events import event, record
from tests.support.world import free_port, running_world

MODELS = "SELECT DISTINCT model FROM audit.phrase_vectors"
AWAY = {"embeddings": "service", "embeddings_model": "none", "embeddings_dimensions": 8}


async def best(world, user, query):
    answer = await world.search.SearchEvents(
        search_pb2.SearchEventsRequest(query=query), metadata=user.metadata
    )
    return answer.hits[0].event.action


async def models(world, expected):
    """Wait until the vectors are those of these models."""

    def read():
        with world.database.connect() as connection:
            return [row[0] for row in connection.execute(MODELS).fetchall()]

    async with asyncio.timeout(20):
        while await asyncio.to_thread(read) != expected:
            await asyncio.sleep(0.05)


@pytest.mark.soak
async def test_words_find_while_a_model_is_away_and_its_vectors_go_when_another_is_chosen(cluster):
    database = cluster.new_database()
    url = f"http://127.0.0.1:{free_port()}"
    async with running_world(database, audit=AWAY | {"embeddings_url": url}) as world:
        user = await world.new_user()
        await record(world, user, event(action="document.delete"))
        assert await best(world, user, "who removed a file") == "document.delete"
        with database.connect() as connection:
            connection.execute(
                "INSERT INTO audit.phrase_vectors"
                " SELECT organisation_id, 'of before', phrase_id, '[1,0]' FROM audit.phrases"
            )
    async with running_world(database) as world:
        user = await world.login(user.email)
        assert await best(world, user, "who removed a file") == "document.delete"
        await models(world, [WordVectorEmbedder.model])
        assert await best(world, user, "who removed a file") == "document.delete"
