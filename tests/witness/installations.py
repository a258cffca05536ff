"""Installations whose logs are witnessed, at a quick pace."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc.aio

from smart_audit.api.audit.v1 import audit_pb2, tiles_pb2, tiles_pb2_grpc
from tests.support.world import running_world

PACE = timedelta(milliseconds=100)


@asynccontextmanager
async def watched_world(database, policy=None, **audit):
    """Both services, with a policy of witnesses or none."""
    settings = {"checkpoint_every": PACE, "witness_policy_file": policy, **audit}
    async with running_world(database, audit=settings) as world:
        yield world


async def key_of(world):
    """A verifier key of the installation, as it publishes it for any of its logs."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.audit_port}") as channel:
        answer = await tiles_pb2_grpc.TileServiceStub(channel).GetLogKey(
            tiles_pb2.GetLogKeyRequest(organisation_id="00000000-0000-0000-0000-000000000000")
        )
    return answer.data.decode().splitlines()[0]


async def known_installation(database, **audit):
    """The options by which a witness knows an installation, whose first start makes its key."""
    async with watched_world(database, **audit) as world:
        return ["--installation", await key_of(world)]


async def checkpoints(world, user):
    """The history of a log, the latest first; asking signs nothing."""
    answer = await world.log.ListCheckpoints(
        audit_pb2.ListCheckpointsRequest(page_size=500), metadata=user.metadata
    )
    return list(answer.checkpoints)


def names(checkpoint):
    """Who has cosigned a checkpoint."""
    return [one.witness for one in checkpoint.cosignatures]


def cosigned(world, user):
    """A call for the latest checkpoint that satisfies the policy."""
    return world.log.GetCheckpoint(
        audit_pb2.GetCheckpointRequest(cosigned=True), metadata=user.metadata
    )


async def eventually(look, seconds=60):
    """Look until there is something to see, and give it."""
    async with asyncio.timeout(seconds):
        while not (seen := await look()):
            await asyncio.sleep(0.05)
    return seen


async def latest_cosigned_by(world, user, size, *wanted):
    """Wait until a checkpoint of at least `size` entries has been cosigned by all of these."""

    async def look():
        for one in await checkpoints(world, user):
            if one.tree_size >= size and {*wanted} <= {*names(one)}:
                return one
        return None

    return await eventually(look)
