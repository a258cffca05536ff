"""One witness over HTTP. Whatever it answers, nothing is believed but its own good signature."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from smart_audit.core.deferred import deferred
from smart_audit.tlog.add_checkpoint import (
    AddCheckpoint,
    AddCheckpointError,
    open_cosigned,
    parse_size,
)
from smart_audit.tlog.cosignature import cosigned_at
from smart_audit.tlog.note import NoteSignature
from smart_audit.tlog.policy import Witness

if TYPE_CHECKING:
    import aiohttp
else:
    aiohttp = deferred("aiohttp")

TIMEOUT_S = 10
# A hundred signature lines of the longest kind fit into no less than this.
MAX_REPLY_BYTES = 512 * 1024
CLOCK_TOLERANCE_S = 3600
QUOTED = 200

LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class Unreachable(Exception):
    """No answer, or one that says to come again later."""


class Rejected(Exception):
    """An answer that is no cosignature of the checkpoint."""


class OtherSize(Exception):
    """The witness cosigned a state of another size last."""

    def __init__(self, size: int) -> None:
        super().__init__(f"it cosigned {size} entries last")
        self.size = size


class WitnessClient:
    """Asks one witness. url: http or https."""

    def __init__(self, witness: Witness, http: "aiohttp.ClientSession") -> None:
        self.verifier = witness.verifier
        self._url = f"{(witness.url or '').rstrip('/')}/add-checkpoint"
        self._http = http

    async def cosign(self, request: AddCheckpoint) -> NoteSignature:
        """Have a checkpoint cosigned; the signature is verified.

        Raises: OtherSize, Rejected, Unreachable.
        """
        status, body = await self._post(request.body())
        if status == HTTPStatus.CONFLICT:
            raise OtherSize(_size(body))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in LATER:
            raise Unreachable(f"it answers {status}")
        if status != HTTPStatus.OK:
            said = body[:QUOTED].decode(errors="replace").strip()
            raise Rejected(f"it answers {status}: {said}")
        return self._verified(body, request.checkpoint.text())

    async def _post(self, data: bytes) -> tuple[int, bytes]:
        try:
            async with self._http.post(self._url, data=data, allow_redirects=False) as answer:
                return answer.status, await _bounded(answer)
        except TimeoutError as error:
            raise Unreachable(f"it does not answer within {TIMEOUT_S} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    def _verified(self, body: bytes, text: str) -> NoteSignature:
        try:
            (signature,) = open_cosigned(body, text, [self.verifier])
        except AddCheckpointError as error:
            raise Rejected(f"its reply is no cosignature: {error}") from error
        if not 0 < cosigned_at(signature.signature) <= time.time() + CLOCK_TOLERANCE_S:
            raise Rejected("the time of its cosignature is in the future, or missing")
        return signature


@asynccontextmanager
async def open_http() -> AsyncIterator["aiohttp.ClientSession"]:
    """A client for all witnesses: no proxies of the environment, no cookies, nothing unpacked."""
    async with aiohttp.ClientSession(
        # Each worker bounds its own requests; a common bound would let one hold up the others.
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"content-type": "text/plain; charset=utf-8", "accept-encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    ) as http:
        yield http


async def _bounded(answer: "aiohttp.ClientResponse") -> bytes:
    """Raises: Rejected."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise Rejected(f"its reply has more than {MAX_REPLY_BYTES} bytes")
    return bytes(body)


def _size(body: bytes) -> int:
    try:
        return parse_size(body)
    except AddCheckpointError as error:
        raise Rejected(f"it answers 409 without a size: {error}") from error
