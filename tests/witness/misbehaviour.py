"""How a witness may answer instead of cosigning."""

import asyncio
import time
from contextlib import suppress

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.add_checkpoint import AddCheckpoint, cosigned_body, size_body
from smart_audit.tlog.cosignature import Cosigner

KEY = Ed25519PrivateKey.generate()


async def never(_witness, _request):
    await asyncio.Event().wait()


async def own(witness, request, **changes):
    """The right reply, but for the changes."""
    checkpoint = AddCheckpoint.parse(await request.read()).checkpoint
    cosigner = changes.get("cosigner", witness.cosigner)
    signature = cosigner.cosign(checkpoint, changes.get("at", int(time.time())))
    return web.Response(body=cosigned_body([signature]))


async def bad_signature(witness, request):
    right = await own(witness, request)
    line = right.body.decode()
    return web.Response(text=line.replace(line[-5], "A" if line[-5] != "A" else "B", 1))


async def another_key(witness, request):
    return await own(witness, request, cosigner=Cosigner("witness.example/else", KEY))


async def the_same_name(witness, request):
    return await own(witness, request, cosigner=Cosigner(witness.name, KEY))


async def in_the_future(witness, request):
    return await own(witness, request, at=(1 << 63) - 1)


async def another_checkpoint(witness, request):
    checkpoint = AddCheckpoint.parse(await request.read()).checkpoint
    other = type(checkpoint)(checkpoint.origin, checkpoint.size + 1, checkpoint.root)
    return web.Response(body=cosigned_body([witness.cosigner.cosign(other, int(time.time()))]))


async def garbage(_witness, _request):
    return web.Response(body=bytes(range(256)))


async def without_end(_witness, request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    with suppress(ConnectionError):
        while True:
            await answer.write(b"x" * 65536)
    return answer


async def packed(witness, request):
    answer = await own(witness, request)
    answer.enable_compression(force=web.ContentCoding.gzip)
    return answer


async def always_elsewhere(_witness, request):
    old = AddCheckpoint.parse(await request.read()).old_size
    return web.Response(status=409, body=size_body(old ^ 1))


async def far_ahead(_witness, _request):
    return web.Response(status=409, body=size_body((1 << 64) - 1))


async def out_of_order(_witness, _request):
    return web.Response(status=503)


async def somewhere_else(witness, request):
    """The right reply would be there."""
    if "there" in request.query:
        return await own(witness, request)
    raise web.HTTPTemporaryRedirect(f"{witness.url}/add-checkpoint?there")


LIES = [
    bad_signature,
    another_key,
    the_same_name,
    in_the_future,
    another_checkpoint,
    garbage,
    without_end,
    packed,
    always_elsewhere,
    far_ahead,
    somewhere_else,
]
SILENCES = [never, out_of_order]
