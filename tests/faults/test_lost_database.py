"""Connections of the services to the database are cut; nothing acknowledged is lost."""

import asyncio

import grpc
import grpc.aio

from tests.support.events import event, record_batch, settled, verify
from tests.support.world import running_world


def cut_connections(world):
    with world.database.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def persistently(call, *arguments):
    for _ in range(100):
        try:
            return await call(*arguments)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(0.02)
    raise TimeoutError("the call was never answered")


async def test_cut_connections_are_unavailable_at_worst_and_lose_nothing(cluster):
    async with running_world(cluster.new_database()) as world:
        user = await world.signed_up()
        await settled(world, user)
        batches = [[event() for _ in range(10)] for _ in range(30)]
        senders = [
            asyncio.create_task(persistently(record_batch, world, user, batch)) for batch in batches
        ]
        for _ in range(3):
            await asyncio.sleep(0.03)
            await asyncio.to_thread(cut_connections, world)
        answers = await asyncio.gather(*senders)
        state = await persistently(settled, world, user, 302)
        again = await persistently(world.login, user.email)
        await persistently(settled, world, again, 303)
    assert state.tree_size == 302
    for answer in answers:
        for result in answer:
            verify(result.receipt.proof)
