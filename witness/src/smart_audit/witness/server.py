"""The witness over HTTP (C2SP tlog-witness).

POST /add-checkpoint              cosign a checkpoint
GET  /<origin hash>/checkpoint    the checkpoint of a log that was cosigned last
GET  /                            who the witness is
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from smart_audit.tlog.add_checkpoint import MAX_REQUEST_SIZE
from smart_audit.tlog.cosignature import Cosigner
from smart_audit.witness.cosigning import TEXT, Refused, Witness
from smart_audit.witness.known_logs import KnownLogs
from smart_audit.witness.store import Store

BODY_TIMEOUT_S = 10
ORIGIN_HASH = re.compile("[0-9a-f]{64}")

Result = TypeVar("Result")


@asynccontextmanager
async def listening(
    state: Path, logs: KnownLogs, cosigner: Cosigner, now: Callable[[], float], host: str, port: int
) -> AsyncIterator[int]:
    """Serve while the context is open; gives the port.

    Raises: OSError when the port is taken, sqlite3.Error.
    """
    # One thread decides, and waits for the disk; it alone has the store.
    with ThreadPoolExecutor(max_workers=1) as thread:
        loop = asyncio.get_running_loop()
        store = await loop.run_in_executor(thread, Store, state)
        runner = web.AppRunner(_app(Witness(logs, store, cosigner, now), thread), access_log=None)
        try:
            await runner.setup()
            await web.TCPSite(runner, host, port).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()
            await loop.run_in_executor(thread, store.close)


def _app(witness: Witness, thread: ThreadPoolExecutor) -> web.Application:
    serving = _Serving(witness, thread)
    app = web.Application(client_max_size=MAX_REQUEST_SIZE)
    app.add_routes(
        [
            web.post("/add-checkpoint", serving.add_checkpoint),
            web.get(f"/{{origin_hash:{ORIGIN_HASH.pattern}}}/checkpoint", serving.checkpoint),
            web.get("/", serving.introduction),
        ]
    )
    return app


class _Serving:
    """From HTTP to the witness and back."""

    def __init__(self, witness: Witness, thread: ThreadPoolExecutor) -> None:
        self._witness = witness
        self._thread = thread

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        """Cosign a checkpoint."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await request.read()
        except TimeoutError as error:
            raise web.HTTPRequestTimeout from error
        try:
            line = await self._decided(lambda: self._witness.add_checkpoint(body))
        except Refused as refused:
            return web.Response(
                body=refused.body, status=refused.status, content_type=refused.content_type
            )
        return web.Response(body=line, content_type=TEXT, charset="utf-8")

    async def checkpoint(self, request: web.Request) -> web.Response:
        """The note that was cosigned last."""
        origin_hash = request.match_info["origin_hash"]
        note = await self._decided(lambda: self._witness.store.latest(origin_hash))
        if note is None:
            return web.Response(text="no checkpoint of this log was cosigned\n", status=404)
        return web.Response(text=note)

    async def introduction(self, _request: web.Request) -> web.Response:
        """Who the witness is."""
        verifier = self._witness.cosigner.verifier
        return web.Response(
            text=f"witness {verifier.name} (C2SP tlog-witness)\n{verifier.verifier_key}\n"
        )

    async def _decided(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
