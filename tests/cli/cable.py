"""A cable to the gateway that can be pulled and put back: a TCP forwarder."""

import asyncio
import contextlib
from contextlib import asynccontextmanager

from tests.support.world import free_port


class Cable:
    """Forwards connections of `port` to host:port `end`."""

    def __init__(self, end):
        self._host, _, port = end.rpartition(":")
        self._end_port = int(port)
        self.port = free_port()
        self.sent = 0
        self._server = None
        self._tasks = set()
        self._moved = asyncio.Condition()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    async def plug(self):
        """Let connections through."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)

    async def pull(self):
        """Break all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until_sent(self, size):
        """Wait until so many bytes have gone towards the gateway."""
        async with asyncio.timeout(60), self._moved:
            await self._moved.wait_for(lambda: self.sent >= size)

    async def _forward(self, near_reader, near_writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        far_writer = None
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._end_port)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(near_reader, far_writer, counted=True))
                group.create_task(self._copy(far_reader, near_writer, counted=False))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for writer in (near_writer, far_writer):
                if writer is not None:
                    writer.transport.abort()

    async def _copy(self, reader, writer, *, counted):
        while data := await reader.read(65536):
            if counted:
                self.sent += len(data)
                async with self._moved:
                    self._moved.notify_all()
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


@asynccontextmanager
async def cable_to(end):
    """A cable, unplugged at first."""
    cable = Cable(end)
    try:
        yield cable
    finally:
        await cable.pull()
